//! What must hold of every journal, whatever was killed, cut, or frozen meanwhile. The
//! checker reads journals and knows nothing of the engine.

use crate::counterpart::Deed;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// One entry of a journal, or a line of a log.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) seq: i64,
    /// `step_succeeded`, or empty for a line.
    pub(crate) kind: String,
    pub(crate) step: String,
    pub(crate) detail: Value,
}

impl Entry {
    pub(crate) fn read(item: &Value) -> Entry {
        let text = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        Entry {
            seq: item["seq"].as_i64().unwrap(),
            kind: text("kind"),
            step: text("step"),
            detail: item["detail"].clone(),
        }
    }

    fn attempt(&self) -> i64 {
        self.detail["attempt"].as_i64().unwrap_or(0)
    }
}

/// All that is known of an execution.
#[derive(Debug, Clone)]
pub(crate) struct History {
    pub(crate) id: String,
    pub(crate) status: String,
    /// By number.
    pub(crate) entries: Vec<Entry>,
}

/// Everything that does not hold. `acknowledged` are the starts that were answered.
pub(crate) fn faults(histories: &[History], acknowledged: &[String], deeds: &BTreeMap<String, Deed>) -> Vec<String> {
    let mut faults = Vec::new();
    let known: HashSet<&str> = histories.iter().map(|history| history.id.as_str()).collect();
    for id in acknowledged.iter().filter(|id| !known.contains(id.as_str())) {
        faults.push(format!("{id}: acknowledged and lost"));
    }
    let mut recorded = BTreeSet::new();
    for history in histories {
        for fault in one(history) {
            faults.push(format!("{}: {fault}", history.id));
        }
        effects(history, deeds, &mut recorded, &mut faults);
    }
    for key in deeds.keys().filter(|key| !recorded.contains(*key)) {
        faults.push(format!("{key}: it was done and is not recorded"));
    }
    for (key, deed) in deeds.iter().filter(|(_, deed)| deed.done != 1) {
        faults.push(format!("{key}: done {} times", deed.done));
    }
    children(histories, &mut faults);
    faults
}

/// What must hold of a journal by itself.
fn one(history: &History) -> Vec<String> {
    let mut faults = Vec::new();
    if history.status != "succeeded" {
        faults.push(format!("it is {}", history.status));
    }
    for (entry, number) in history.entries.iter().zip(1..) {
        if entry.seq != number {
            faults.push(format!("number {number} is missing or there twice: {} is there", entry.seq));
            break;
        }
    }
    let kinds = |kind: &str| history.entries.iter().filter(|entry| entry.kind == kind).count();
    for kind in ["started", "finished"] {
        if kinds(kind) != 1 {
            faults.push(format!("{} entries \"{kind}\"", kinds(kind)));
        }
    }
    if history.entries.first().is_some_and(|entry| entry.kind != "started") {
        faults.push("it does not begin with its start".to_owned());
    }
    if history.entries.last().is_some_and(|entry| entry.kind != "finished") {
        faults.push("something follows its end".to_owned());
    }
    faults.extend(steps(history));
    faults
}

/// What must hold of the steps of a journal.
fn steps(history: &History) -> Vec<String> {
    let mut faults = Vec::new();
    // The attempt that was begun and has no result, and whether there is a result, by path.
    let mut open: HashMap<&str, i64> = HashMap::new();
    let mut begun: HashSet<&str> = HashSet::new();
    let mut succeeded: HashSet<&str> = HashSet::new();
    for entry in &history.entries {
        let (step, attempt) = (entry.step.as_str(), entry.attempt());
        match entry.kind.as_str() {
            "step_scheduled" => {
                if succeeded.contains(step) {
                    faults.push(format!("{step} is begun after its result was recorded"));
                }
                if let Some(other) = open.insert(step, attempt) {
                    faults.push(format!("{step}: attempt {attempt} is begun while {other} has no result"));
                }
                begun.insert(step);
            }
            "timer_set" | "approval_asked" => {
                begun.insert(step);
            }
            "step_failed" => {
                open.remove(step);
            }
            "step_succeeded" => {
                if !begun.contains(step) {
                    faults.push(format!("{step} has a result and was never begun"));
                }
                if open.remove(step).is_some_and(|open| open != attempt) {
                    faults.push(format!("{step}: attempt {attempt} has a result and was not the one that was begun"));
                }
                if !succeeded.insert(step) {
                    faults.push(format!("{step} has two results"));
                }
            }
            _ => {}
        }
    }
    faults
}

/// Each result is what the counterpart gave for its key, and was done there. A step that
/// calls another bot has the result of the execution that it has started.
fn effects(
    history: &History,
    deeds: &BTreeMap<String, Deed>,
    recorded: &mut BTreeSet<String>,
    faults: &mut Vec<String>,
) {
    let mut called: HashMap<&str, &str> = HashMap::new();
    for entry in &history.entries {
        if let ("child_started", Some(child)) = (entry.kind.as_str(), entry.detail["id"].as_str()) {
            called.insert(&entry.step, child);
        }
    }
    for entry in history.entries.iter().filter(|entry| entry.kind == "step_succeeded") {
        let body = &entry.detail["output"]["body"];
        let Some(key) = body["key"].as_str() else { continue };
        let own = match called.get(entry.step.as_str()) {
            Some(child) => key.split_once(':').is_some_and(|(execution, _)| execution == *child),
            None => key == format!("{}:{}", history.id, entry.step),
        };
        if !own {
            faults.push(format!("{}: {} has the result of {key}", history.id, entry.step));
        }
        match deeds.get(key) {
            None => faults.push(format!("{key}: it is recorded and was never done")),
            Some(deed) if body["value"].as_u64() != Some(deed.value) => {
                faults.push(format!("{key}: {} is recorded and {} was given", body["value"], deed.value));
            }
            Some(_) => {}
        }
        recorded.insert(key.to_owned());
    }
}

/// Every child that is recorded is there, and its end is recorded once.
fn children(histories: &[History], faults: &mut Vec<String>) {
    let known: HashSet<&str> = histories.iter().map(|history| history.id.as_str()).collect();
    for history in histories {
        let of = |kind: &str| -> Vec<&str> {
            let some = history.entries.iter().filter(|entry| entry.kind == kind);
            some.filter_map(|entry| entry.detail["id"].as_str()).collect()
        };
        let (started, finished) = (of("child_started"), of("child_finished"));
        for child in &started {
            if !known.contains(child) {
                faults.push(format!("{}: its child {child} is lost", history.id));
            }
            if finished.iter().filter(|id| id == &child).count() != 1 {
                faults.push(format!("{}: the end of its child {child} is not recorded once", history.id));
            }
        }
    }
}

/// A checker that finds nothing proves nothing: each fault is found.
mod tests {
    use super::*;
    use serde_json::json;

    type Change = dyn Fn(&mut History, &mut BTreeMap<String, Deed>);

    fn entry(seq: i64, kind: &str, step: &str, detail: Value) -> Entry {
        Entry { seq, kind: kind.to_owned(), step: step.to_owned(), detail }
    }

    fn sound() -> (History, BTreeMap<String, Deed>) {
        let output = json!({ "attempt": 1, "output": { "body": { "key": "e:a", "value": 7 } } });
        let entries = vec![
            entry(1, "started", "", json!({})),
            entry(2, "step_scheduled", "a", json!({ "attempt": 1 })),
            entry(3, "step_succeeded", "a", output),
            entry(4, "finished", "", json!({})),
        ];
        let history = History { id: "e".into(), status: "succeeded".into(), entries };
        (history, BTreeMap::from([("e:a".to_owned(), Deed { value: 7, done: 1, asked: 2 })]))
    }

    fn found(change: impl FnOnce(&mut History, &mut BTreeMap<String, Deed>)) -> String {
        let (mut history, mut deeds) = sound();
        change(&mut history, &mut deeds);
        faults(&[history], &["e".to_owned()], &deeds).join("; ")
    }

    fn renumber(history: &mut History) {
        for (entry, seq) in history.entries.iter_mut().zip(1..) {
            entry.seq = seq;
        }
    }

    #[test]
    fn a_sound_history_has_no_faults() {
        assert_eq!(found(|_, _| {}), "");
    }

    #[test]
    fn every_fault_is_found() {
        let cases: [(&str, &Change); 12] = [
            ("acknowledged and lost", &|h, _| h.id = "other".into()),
            ("it is failed", &|h, _| h.status = "failed".into()),
            ("number 3 is missing", &|h, _| drop(h.entries.remove(2))),
            ("number 3 is missing or there twice", &|h, _| h.entries.insert(2, h.entries[1].clone())),
            ("0 entries \"finished\"", &|h, _| drop(h.entries.pop())),
            ("something follows its end", &|h, _| h.entries.push(entry(5, "timer_fired", "a", json!({})))),
            ("a has two results", &|h, _| {
                h.entries.insert(3, h.entries[2].clone());
                renumber(h);
            }),
            ("a has a result and was never begun", &|h, _| {
                h.entries.remove(1);
                renumber(h);
            }),
            ("a is begun after its result", &|h, _| {
                h.entries.insert(3, h.entries[1].clone());
                renumber(h);
            }),
            ("8 was given", &|_, deeds| deeds.get_mut("e:a").unwrap().value = 8),
            ("it was done and is not recorded", &|_, deeds| {
                deeds.insert("e:b".into(), Deed { value: 9, done: 1, asked: 1 });
            }),
            ("is recorded and was never done", &|_, deeds| deeds.clear()),
        ];
        for (expected, change) in cases {
            let found = found(change);
            assert!(found.contains(expected), "{expected}: {found}");
        }
        let lost = found(|h, _| h.entries.insert(1, entry(2, "child_started", "c", json!({ "id": "gone" }))));
        assert!(lost.contains("child gone is lost"), "{lost}");
        let strange = found(|h, _| h.entries[2].step = "b".into());
        assert!(strange.contains("b has the result of e:a"), "{strange}");
    }
}
