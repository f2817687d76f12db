//! Three durable steps: executions each second when many go on at once, and how long a
//! lone one takes, on SQLite and on PostgreSQL, beside what the same database takes in
//! raw batched inserts and what one commit costs there.
//!
//! `cargo bench -p codex32-benches --bench workflow`; `CODEX32_TEST_POSTGRES` names a
//! server other than the one at the default port.

use codex32_benches::workflow::{self, Figures};
use codex32_benches::{Failure, median, raw};

/// The allocator of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("three durable steps, started through the operation table; medians of {ROUNDS} rounds\n");
    println!(
        "| store | executions/s, {} at once | alone p50, ms | alone p99, ms | journal rows/s | raw rows/s | of raw | one commit p50, ms |",
        workflow::AT_ONCE
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let scratch = tempfile::tempdir()?;
    for store in raw::stores(scratch.path()).await? {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push((workflow::measure(&store.url, scratch.path()).await?, raw::measure(&store.raw).await?));
        }
        let of = |figure: fn(&(Figures, raw::Figures)) -> f64| median(rounds.iter().map(figure).collect());
        let (rate, rows, limit) = (of(|r| r.0.per_second), of(|r| r.0.rows_per_second), of(|r| r.1.rows_per_second));
        println!(
            "| {} | {rate:.0} | {:.2} | {:.2} | {rows:.0} | {limit:.0} | {:.0}% | {:.2} |",
            store.name,
            of(|r| r.0.alone_p50_ms),
            of(|r| r.0.alone_p99_ms),
            rows / limit * 100.0,
            of(|r| r.1.commit_p50_ms),
        );
    }
    Ok(())
}
