//! What a start, a timer and a list cost on SQLite as more is stored, and what sleeping
//! executions cost in memory.
//!
//! `cargo bench -p codex32-benches --bench scale`; `CODEX32_SCALE=7` goes to 10^7 stored
//! executions (about 20 GB of disk), 6 is the default.

use codex32_benches::Failure;
use codex32_benches::scale::{Figures, Store};

/// The allocator of the command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Executions that sleep when their memory is measured.
const ASLEEP: u64 = 1_000_000;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let most: u32 = std::env::var("CODEX32_SCALE").ok().and_then(|n| n.parse().ok()).unwrap_or(6);
    let scratch = tempfile::tempdir()?;
    let mut store = Store::new(scratch.path()).await?;
    let empty = store.memory().await?;
    println!("SQLite; copies of one execution of three steps, a tenth of them of one that sleeps; medians of 100\n");
    println!(
        "| stored | start to end, ms | timer, ms | list, ms | of a bot, ms | waiting, ms | detail, ms | memory, MB |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    let mut all = Vec::new();
    for power in 4..=most {
        let stored = 10_u64.pow(power);
        store.grow(stored - stored / 10, stored / 10).await?;
        let f = store.measure().await?;
        println!(
            "| 10^{power} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {:.0} |",
            f.three_ms, f.timer_ms, f.list_ms, f.bot_ms, f.waiting_ms, f.detail_ms, f.memory_mb
        );
        all.push(f);
    }
    plot(&all);
    store.grow(0, ASLEEP).await?;
    println!("\nmemory at rest: {empty:.0} MB with nothing, {:.0} MB with 10^6 that sleep", store.memory().await?);
    Ok(())
}

/// The table as a chart that Markdown shows.
fn plot(all: &[Figures]) {
    let powers: Vec<String> = (4..).take(all.len()).map(|power| format!("\"10^{power}\"")).collect();
    println!("\n```mermaid\nxychart-beta\n  x-axis \"stored executions\" [{}]\n  y-axis \"ms\"", powers.join(", "));
    let lines: [fn(&Figures) -> f64; 3] = [|f| f.three_ms, |f| f.timer_ms, |f| f.list_ms];
    for line in lines {
        let values: Vec<String> = all.iter().map(|f| format!("{:.2}", line(f))).collect();
        println!("  line [{}]", values.join(", "));
    }
    println!("```");
}
