//! Names of time zones: IANA names, their cities, other big cities, abbreviations.

use std::collections::HashMap;
use std::sync::LazyLock;

use chrono_tz::{TZ_VARIANTS, Tz};

use crate::error::{Error, Result};

/// Cities and regions that are not IANA names, and the zone they keep.
const CITIES: &[(&str, Tz)] = &[
    ("atlanta", Tz::America__New_York),
    ("austin", Tz::America__Chicago),
    ("bangalore", Tz::Asia__Kolkata),
    ("barcelona", Tz::Europe__Madrid),
    ("beijing", Tz::Asia__Shanghai),
    ("boston", Tz::America__New_York),
    ("cologne", Tz::Europe__Berlin),
    ("dallas", Tz::America__Chicago),
    ("delhi", Tz::Asia__Kolkata),
    ("edinburgh", Tz::Europe__London),
    ("frankfurt", Tz::Europe__Berlin),
    ("geneva", Tz::Europe__Zurich),
    ("germany", Tz::Europe__Berlin),
    ("hamburg", Tz::Europe__Berlin),
    ("houston", Tz::America__Chicago),
    ("india", Tz::Asia__Kolkata),
    ("japan", Tz::Asia__Tokyo),
    ("lyon", Tz::Europe__Paris),
    ("manchester", Tz::Europe__London),
    ("miami", Tz::America__New_York),
    ("milan", Tz::Europe__Rome),
    ("montreal", Tz::America__Toronto),
    ("mumbai", Tz::Asia__Kolkata),
    ("munich", Tz::Europe__Berlin),
    ("new delhi", Tz::Asia__Kolkata),
    ("osaka", Tz::Asia__Tokyo),
    ("philadelphia", Tz::America__New_York),
    ("san diego", Tz::America__Los_Angeles),
    ("san francisco", Tz::America__Los_Angeles),
    ("seattle", Tz::America__Los_Angeles),
    ("st petersburg", Tz::Europe__Moscow),
    ("tel aviv", Tz::Asia__Jerusalem),
    ("washington", Tz::America__New_York),
    ("uk", Tz::Europe__London),
];

/// Abbreviations by what people mean by them: the zone with its summer time,
/// not the fixed offset of the letter of the law.
const ABBREVIATIONS: &[(&str, Tz)] = &[
    ("utc", Tz::UTC),
    ("gmt", Tz::GMT),
    ("zulu", Tz::UTC),
    ("est", Tz::America__New_York),
    ("edt", Tz::America__New_York),
    ("cst", Tz::America__Chicago),
    ("cdt", Tz::America__Chicago),
    ("mst", Tz::America__Denver),
    ("mdt", Tz::America__Denver),
    ("pst", Tz::America__Los_Angeles),
    ("pdt", Tz::America__Los_Angeles),
    ("cet", Tz::Europe__Berlin),
    ("cest", Tz::Europe__Berlin),
    ("eet", Tz::Europe__Athens),
    ("eest", Tz::Europe__Athens),
    ("bst", Tz::Europe__London),
    ("jst", Tz::Asia__Tokyo),
    ("aest", Tz::Australia__Sydney),
    ("aedt", Tz::Australia__Sydney),
    ("sgt", Tz::Asia__Singapore),
];

/// Zones that people name with the word "time".
const REGIONS: &[(&str, Tz)] = &[
    ("eastern time", Tz::America__New_York),
    ("central time", Tz::America__Chicago),
    ("mountain time", Tz::America__Denver),
    ("pacific time", Tz::America__Los_Angeles),
    ("central european time", Tz::Europe__Berlin),
    ("british time", Tz::Europe__London),
    ("german time", Tz::Europe__Berlin),
    ("indian time", Tz::Asia__Kolkata),
];

/// Last parts of IANA names that are ordinary words too.
const WORDS: &[&str] = &[
    "center",
    "central",
    "current",
    "east",
    "easter",
    "eastern",
    "general",
    "mountain",
    "nelson",
    "north",
    "pacific",
    "phoenix",
    "reunion",
    "south",
    "troll",
    "virgin",
    "wake",
    "west",
    "central america",
];

struct Names {
    /// Lower case, with spaces: whole names and cities. True: means nothing else.
    by_name: HashMap<String, (Tz, bool)>,
}

static NAMES: LazyLock<Names> = LazyLock::new(|| {
    let mut by_name = HashMap::new();
    for tz in TZ_VARIANTS {
        let name = tz.name().to_ascii_lowercase();
        if let Some((region, rest)) = name.split_once('/') {
            let city = rest.rsplit('/').next().unwrap_or(rest).replace('_', " ");
            let real = !matches!(region, "etc" | "us" | "canada" | "brazil" | "mexico" | "chile" | "systemv");
            if real && !WORDS.contains(&city.as_str()) {
                by_name.entry(city).or_insert((tz, false));
            }
            by_name.insert(name, (tz, true));
        }
    }
    for (name, tz) in CITIES {
        by_name.insert((*name).to_owned(), (*tz, false));
    }
    for (name, tz) in ABBREVIATIONS {
        by_name.insert((*name).to_owned(), (*tz, true));
    }
    for (name, tz) in REGIONS {
        by_name.insert((*name).to_owned(), (*tz, true));
    }
    Names { by_name }
});

/// The zone of one lower-case word, and whether it can mean nothing else.
pub(crate) fn word(name: &str) -> Option<(Tz, bool)> {
    NAMES.by_name.get(name).copied().or_else(|| offset(name).map(|tz| (tz, true)))
}

/// The zone of several lower-case words.
pub(crate) fn words(name: &str) -> Option<(Tz, bool)> {
    NAMES.by_name.get(name).copied()
}

/// `utc+2`: whole hours from UTC. The names `Etc/GMT-2` have the sign the other way round.
fn offset(name: &str) -> Option<Tz> {
    let rest = name.strip_prefix("utc").or_else(|| name.strip_prefix("gmt"))?;
    let (sign, hours) =
        rest.strip_prefix('+').map(|h| ('-', h)).or_else(|| rest.strip_prefix('-').map(|h| ('+', h)))?;
    let hours: u32 = hours.parse().ok()?;
    format!("Etc/GMT{sign}{hours}").parse().ok()
}

/// The IANA zone of a name: `Europe/Berlin`, `Berlin`, `New York`, `UTC`, `CET`.
///
/// ```
/// assert_eq!(codex32_core::recur::zone("berlin").unwrap().name(), "Europe/Berlin");
/// ```
///
/// # Errors
/// [`crate::Code::Invalid`] where no zone has this name.
pub fn zone(name: &str) -> Result<Tz> {
    if let Ok(tz) = name.trim().parse::<Tz>() {
        return Ok(tz);
    }
    let lower = name.trim().to_lowercase().replace('_', " ");
    let bare = lower.strip_suffix(" time").unwrap_or(&lower);
    let whole = lower.replace(' ', "_");
    let found = word(&lower).or_else(|| word(bare)).or_else(|| word(&whole));
    found.map(|(tz, _)| tz).ok_or_else(|| {
        Error::invalid(format!("there is no time zone {name:?}")).hint("use a name such as \"Europe/Berlin\"")
    })
}

/// How people say the zone: `Berlin time`, `UTC`; the whole name where a city would mislead.
pub(crate) fn spoken(tz: Tz) -> String {
    if tz == Tz::UTC {
        return "UTC".to_owned();
    }
    let city = tz.name().rsplit('/').next().unwrap_or_default().replace('_', " ");
    match word(&city.to_lowercase()) {
        Some((same, false)) if same == tz => format!("{city} time"),
        _ => tz.name().to_owned(),
    }
}
