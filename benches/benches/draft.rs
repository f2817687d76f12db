//! A draft of a sentence beside parsing the blueprint that comes of it: the ratio says
//! what understanding costs over reading.
//!
//! `cargo bench -p codex32-benches`

#![allow(missing_docs, reason = "the macros of criterion make public functions without docs")]

use codex32_core::blueprint;
use codex32_core::catalogue::Catalogue;
use codex32_core::understand::{Context, draft};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use std::hint::black_box;

const SENTENCE: &str = "every 5 minutes fetch https://example.org/price.json and if usd is below 50000 \
    post it to https://example.org/alerts";

fn drafts(c: &mut Criterion) {
    let catalogue = Catalogue::builtin();
    let context = Context { timezone: "UTC".to_owned(), ..Context::default() };
    let made = draft(SENTENCE, catalogue, &context);
    let text = made.blueprint.as_ref().map(blueprint::print).unwrap_or_default();
    assert!(!text.is_empty(), "the sentence is understood");
    let mut group = c.benchmark_group("draft");
    group.throughput(Throughput::Elements(1));
    group.bench_function("draft a sentence", |b| b.iter(|| draft(black_box(SENTENCE), catalogue, &context)));
    group.bench_function("parse its blueprint", |b| b.iter(|| blueprint::parse(black_box(&text))));
    group.finish();
}

criterion_group!(benches, drafts);
criterion_main!(benches);
