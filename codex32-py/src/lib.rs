//! The native part of the Python package: a door of JSON texts. Everything typed
//! and everything that a person sees is Python, in `python/codex32`.

mod action;
mod door;
mod runtime;
mod workflow;

use pyo3::prelude::*;

/// The module `codex32._codex32`.
#[pymodule]
fn _codex32(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<door::Door>()?;
    module.add_class::<door::Items>()?;
    module.add_function(wrap_pyfunction!(door::open, module)?)?;
    module.add_function(wrap_pyfunction!(door::connect, module)?)?;
    module.add_function(wrap_pyfunction!(runtime::shutdown, module)?)?;
    Ok(())
}
