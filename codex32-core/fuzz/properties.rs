//! What must hold for any bytes. Shared by the fuzz targets and `tests/fuzz.rs`.

use codex32_core::blueprint;
use codex32_core::catalogue::Catalogue;
use codex32_core::expr::{Program, Scope, Template};
use serde_json::json;

/// Reading never panics; what can be read is printed as a text that is read as the same.
#[allow(dead_code, reason = "each user of this file calls one of the functions")]
pub(crate) fn blueprint(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (usable, found) = blueprint::check(text, Catalogue::builtin());
    assert_eq!(usable.is_none(), found.has_errors());
    for diagnostic in &found {
        assert!(diagnostic.line as usize <= text.split('\n').count() + 1, "{diagnostic:?}");
    }
    let _ = found.render(text, true);
    let _ = found.to_string();
    let Ok(read) = blueprint::parse(text) else { return };
    let printed = blueprint::print(&read);
    assert_eq!(blueprint::parse(&printed).as_ref(), Ok(&read), "{printed}");
    assert_eq!(blueprint::print(&read), printed);
    assert_eq!(blueprint::from_json(&blueprint::to_json(&read)).as_ref(), Ok(&read));
    assert!(!blueprint::explain(&read, Catalogue::builtin()).is_empty());
}

/// Compiling and evaluating never panic or hang; places lie within the text.
#[allow(dead_code, reason = "each user of this file calls one of the functions")]
pub(crate) fn expression(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let scope = Scope::new()
        .with("input", json!({"n": 5, "f": 2.5, "s": "text", "l": [1, "a", null, {"k": 1}], "none": null}))
        .with("steps", json!({"a": {"body": {"items": [{"id": 1}, {"id": 2}]}}}));
    match Program::compile(text) {
        Ok(program) => {
            for reference in program.references().iter() {
                assert!(text.get(reference.offset..reference.offset + reference.length).is_some(), "{reference:?}");
            }
            let _ = program.eval(&scope);
            let _ = program.in_words();
            let _ = program.as_noun();
        }
        Err(error) => assert!(error.offset <= text.len(), "{error:?}"),
    }
    match Template::compile_text(text) {
        Ok(template) => {
            let _ = template.render(&scope);
            let _ = template.in_words();
        }
        Err(error) => assert!(error.offset <= text.len(), "{error:?}"),
    }
}
