use proptest::prelude::*;
use serde_json::Value;

use super::arbitrary::blueprint;
use crate::blueprint::{check, digest, explain, from_json, parse, print, to_json, validate};
use crate::catalogue::Catalogue;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn yaml_is_read_as_it_was_written(b in blueprint()) {
        let text = print(&b);
        let read = parse(&text);
        let read = match read {
            Ok(read) => read,
            Err(found) => return Err(TestCaseError::fail(format!("{}\n{text}", found.render(&text, false)))),
        };
        prop_assert_eq!(&read, &b, "{}", text);
        prop_assert_eq!(print(&read), text);
    }

    #[test]
    fn json_is_read_as_it_was_written(b in blueprint()) {
        let json = to_json(&b);
        let through_text: Value = serde_json::from_str(&json.to_string()).unwrap();
        prop_assert_eq!(&from_json(&json).map_err(|f| TestCaseError::fail(f.to_string()))?, &b);
        prop_assert_eq!(&from_json(&through_text).map_err(|f| TestCaseError::fail(f.to_string()))?, &b);
        prop_assert_eq!(digest(&b, &Default::default()), digest(&from_json(&json).unwrap(), &Default::default()));
    }

    #[test]
    fn judging_and_explaining_never_panic(b in blueprint()) {
        let _ = validate(&b, Catalogue::builtin());
        prop_assert!(!explain(&b, Catalogue::builtin()).is_empty());
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC{0,200}|([ a-z:{}\\[\\]\"'|>&*!#,?-]|\n){0,120}") {
        let (_, found) = check(&text, Catalogue::builtin());
        let _ = found.render(&text, true);
    }

    #[test]
    fn a_damaged_blueprint_is_read_without_panic(b in blueprint(), cuts in prop::collection::vec((any::<prop::sample::Index>(), ".{0,3}"), 1..4)) {
        let mut text = print(&b);
        for (at, with) in cuts {
            let places: Vec<usize> = text.char_indices().map(|(i, _)| i).collect();
            let at = places[at.index(places.len())];
            let end = text[at..].chars().next().map_or(at, |c| at + c.len_utf8());
            text.replace_range(at..end, &with);
        }
        if let Ok(read) = parse(&text) {
            prop_assert_eq!(parse(&print(&read)).map_err(|f| TestCaseError::fail(f.to_string()))?, read);
        }
        let (_, found) = check(&text, Catalogue::builtin());
        let _ = found.render(&text, false);
    }
}
