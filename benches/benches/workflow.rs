//! Three durable steps: executions each second when many go on at once, and how long a
//! lone one takes, on SQLite and on PostgreSQL, beside what the same database takes in
//! raw batched inserts and what one commit costs there.
//!
//! `cargo bench -p codex32-benches --bench workflow`; `CODEX32_TEST_POSTGRES` names a
//! server other than the one at the default port.

use codex32_benches::workflow::{self, Figures, Job};
use codex32_benches::{Failure, median, raw};

/// The allocator of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!("three durable steps, started through the operation table; medians of {ROUNDS} rounds\n");
    println!(
        "| store | job | executions/s, {} at once | alone p50, ms | alone p99, ms | journal rows/s | raw rows/s | of raw | one commit p50, ms |",
        workflow::AT_ONCE
    );
    println!("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let scratch = tempfile::tempdir()?;
    for store in raw::stores(scratch.path()).await? {
        let mut limits = Vec::new();
        let mut rounds = vec![Vec::new(); Job::ALL.len()];
        for _ in 0..ROUNDS {
            for (job, figures) in Job::ALL.into_iter().zip(&mut rounds) {
                figures.push(workflow::measure(&store.url, scratch.path(), job).await?);
            }
            limits.push(raw::measure(&store.raw).await?);
        }
        let limit = median(limits.iter().map(|limit| limit.rows_per_second).collect());
        let commit = median(limits.iter().map(|limit| limit.commit_p50_ms).collect());
        for (job, figures) in Job::ALL.into_iter().zip(&rounds) {
            let of = |figure: fn(&Figures) -> f64| median(figures.iter().map(figure).collect());
            let (rate, rows) = (of(|f| f.per_second), of(|f| f.rows_per_second));
            println!(
                "| {} | {} | {rate:.0} | {:.2} | {:.2} | {rows:.0} | {limit:.0} | {:.0}% | {commit:.2} |",
                store.name,
                job.name(),
                of(|f| f.alone_p50_ms),
                of(|f| f.alone_p99_ms),
                rows / limit * 100.0,
            );
        }
    }
    Ok(())
}
