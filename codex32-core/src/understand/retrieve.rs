//! Ranked retrieval over the catalogue: which action or trigger a clause speaks of.
//!
//! BM25 over the words of names, titles, synonyms and summaries, each field
//! with its weight, plus a bonus for whole synonyms that stand in the clause.

use std::collections::HashMap;

use crate::catalogue::Catalogue;

use super::lexicon::stem;

/// An entry of the index.
#[derive(Debug)]
pub(super) struct Entry {
    /// `connector.action`.
    pub(super) name: String,
    pub(super) connector: String,
    pub(super) is_trigger: bool,
    /// Names of the input's properties.
    pub(super) properties: Vec<String>,
    pub(super) required: Vec<String>,
    /// Weighted frequency of each stem.
    terms: HashMap<String, f64>,
    length: f64,
    phrases: Vec<Vec<String>>,
}

/// The index of a catalogue.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) entries: Vec<Entry>,
    rarity: HashMap<String, f64>,
    mean: f64,
    /// Stems of the names and titles of connectors, to their names.
    pub(super) connectors: HashMap<String, String>,
}

const K1: f64 = 1.2;
const B: f64 = 0.5;

impl Index {
    /// Builds the index. Takes a millisecond or so; keep it where the catalogue is kept.
    pub(super) fn new(catalogue: &Catalogue) -> Index {
        let mut entries = Vec::new();
        let mut connectors = HashMap::new();
        for c in catalogue.connectors() {
            connectors.insert(c.name.to_lowercase(), c.name.clone());
            let family = |texts: &mut Vec<(f64, String)>| {
                texts.push((2.0, format!("{} {}", c.name, c.title)));
                texts.extend(c.synonyms.iter().map(|s| (0.7, s.clone())));
            };
            for a in &c.actions {
                let mut texts = vec![(3.0, a.title.clone()), (2.0, a.name.replace('_', " ")), (0.6, a.summary.clone())];
                texts.extend(a.synonyms.iter().map(|s| (1.5, s.clone())));
                family(&mut texts);
                entries.push(Entry::new(&c.name, &a.name, false, &a.input, &texts, &a.synonyms));
            }
            for t in &c.triggers {
                let mut texts = vec![(3.0, t.title.clone()), (2.0, t.name.replace('_', " ")), (0.6, t.summary.clone())];
                texts.extend(t.synonyms.iter().map(|s| (1.5, s.clone())));
                family(&mut texts);
                entries.push(Entry::new(&c.name, &t.name, true, &t.input, &texts, &t.synonyms));
            }
        }
        let mut count: HashMap<String, f64> = HashMap::new();
        for entry in &entries {
            entry.terms.keys().for_each(|t| *count.entry(t.clone()).or_default() += 1.0);
        }
        let total = entries.len().max(1) as f64;
        let rarity = count.into_iter().map(|(t, n)| (t, (1.0 + (total - n + 0.5) / (n + 0.5)).ln())).collect();
        let mean = entries.iter().map(|e| e.length).sum::<f64>() / total;
        Index { entries, rarity, mean, connectors }
    }

    /// Entries with their scores for the stems of a clause, best first; equal ones by name.
    pub(super) fn rank(&self, stems: &[String], triggers: bool) -> Vec<(f64, &Entry)> {
        let mut ranked: Vec<(f64, &Entry)> = (self.entries.iter())
            .filter(|e| e.is_trigger == triggers)
            .map(|e| (self.score(e, stems), e))
            .filter(|(score, _)| *score > 0.0)
            .collect();
        ranked.sort_by(|(a, x), (b, y)| b.total_cmp(a).then_with(|| x.name.cmp(&y.name)));
        ranked
    }

    fn score(&self, entry: &Entry, stems: &[String]) -> f64 {
        let mut seen: Vec<&str> = Vec::new();
        let mut score = 0.0;
        for stem in stems.iter().take(200) {
            let Some(weight) = entry.terms.get(stem).filter(|_| !seen.contains(&stem.as_str())) else { continue };
            seen.push(stem);
            let rarity = self.rarity.get(stem).copied().unwrap_or(0.0);
            score += rarity * weight * (K1 + 1.0) / (weight + K1 * (1.0 - B + B * entry.length / self.mean));
        }
        for phrase in entry.phrases.iter().filter(|p| p.len() > 1 && stems.len() >= p.len()) {
            if stems.windows(phrase.len()).any(|w| w == phrase.as_slice()) {
                score += 1.5 * phrase.len() as f64;
            }
        }
        score
    }
}

impl Entry {
    fn new(
        connector: &str,
        name: &str,
        is_trigger: bool,
        input: &serde_json::Value,
        texts: &[(f64, String)],
        synonyms: &[String],
    ) -> Entry {
        let mut terms: HashMap<String, f64> = HashMap::new();
        for (weight, text) in texts {
            for stem in stems(text) {
                *terms.entry(stem).or_default() += weight;
            }
        }
        let list = |key: &str| input.get(key);
        let properties = list("properties").and_then(|p| p.as_object()).map(|p| p.keys().cloned().collect());
        let required = list("required").and_then(|r| r.as_array());
        Entry {
            name: format!("{connector}.{name}"),
            connector: connector.to_owned(),
            is_trigger,
            properties: properties.unwrap_or_default(),
            required: required
                .map(|r| r.iter().filter_map(|v| v.as_str().map(str::to_owned)).collect())
                .unwrap_or_default(),
            length: terms.values().sum(),
            terms,
            phrases: synonyms.iter().map(|s| stems(s)).collect(),
        }
    }
}

const STOP: [&str; 21] = [
    "me", "my", "us", "i", "you", "a", "an", "the", "of", "to", "in", "on", "is", "and", "or", "for", "it", "at", "by",
    "as", "with",
];

/// The stems of a text, without the smallest words.
pub(super) fn stems(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty());
    words.map(str::to_lowercase).filter(|w| !STOP.contains(&w.as_str())).map(|w| stem(&w)).collect()
}
