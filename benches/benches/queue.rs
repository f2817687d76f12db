//! Messages sent, received and acknowledged each second, on SQLite, on PostgreSQL and on
//! NATS JetStream, beside what the same server takes in raw publishes and acknowledgements.
//!
//! `cargo bench -p codex32-benches --bench queue`; `CODEX32_TEST_POSTGRES` and
//! `CODEX32_TEST_NATS` name servers other than those at the default ports.

use codex32_benches::queue::{self, Figures};
use codex32_benches::{Failure, median};

/// The allocator of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 3;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    println!(
        "{} messages of {} bytes, {} at once; medians of {ROUNDS} rounds\n",
        queue::MESSAGES,
        queue::BYTES,
        queue::AT_ONCE
    );
    println!("| | sent/s | received and acknowledged/s | alone p50, ms | alone p99, ms |");
    println!("| --- | ---: | ---: | ---: | ---: |");
    let scratch = tempfile::tempdir()?;
    for place in queue::places(scratch.path()).await? {
        let mut rounds = Vec::new();
        for _ in 0..ROUNDS {
            rounds.push(queue::measure(&place).await?);
        }
        let of = |figure: fn(&Figures) -> f64| median(rounds.iter().map(figure).collect());
        println!(
            "| {} | {:.0} | {:.0} | {:.2} | {:.2} |",
            place.name(),
            of(|f| f.sent_per_second),
            of(|f| f.done_per_second),
            of(|f| f.alone_p50_ms),
            of(|f| f.alone_p99_ms),
        );
        place.remove().await;
    }
    Ok(())
}
