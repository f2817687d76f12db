//! The dashboard is embedded from `dashboard/dist`. A build without it must work too,
//! and one that follows a build of the dashboard must see it.

fn main() {
    let dist = std::path::Path::new("dashboard/dist");
    if let Err(error) = std::fs::create_dir_all(dist) {
        println!("cargo::warning=the folder {} cannot be made: {error}", dist.display());
    }
    println!("cargo::rerun-if-changed=dashboard/dist");
    println!("cargo::rerun-if-changed=build.rs");
}
