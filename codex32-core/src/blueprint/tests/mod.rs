mod arbitrary;
mod diagnostics;
mod limits;
mod read_back;
mod round_trip;
mod schema;
