//! The vocabulary of schedule phrases: which words mean what.

use super::calendar::{WEEKDAYS, WEEKEND};

/// A length of time that phrases count in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unit {
    Second,
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    /// Seconds of the units below a day.
    pub(crate) fn seconds(self) -> Option<u32> {
        match self {
            Unit::Second => Some(1),
            Unit::Minute => Some(60),
            Unit::Hour => Some(3_600),
            _ => None,
        }
    }
}

/// Words without a value of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    A,
    After,
    Ago,
    Am,
    And,
    At,
    Between,
    Business,
    Cron,
    During,
    Every,
    Except,
    For,
    From,
    Half,
    In,
    Last,
    Local,
    Nearest,
    Next,
    Now,
    OClock,
    Of,
    On,
    Once,
    Only,
    Other,
    Past,
    Per,
    Pm,
    Please,
    Run,
    Single,
    Starting,
    The,
    This,
    Through,
    Time,
    Times,
    To,
    Today,
    Tomorrow,
    Tonight,
    Twice,
    Thrice,
    Until,
    Up,
}

/// Parts of the day, with the hour that stands for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Morning,
    Afternoon,
    Evening,
    Night,
}

impl Part {
    /// The second of the day that stands for the part where no time is said.
    pub(crate) fn default_time(self) -> u32 {
        match self {
            Part::Morning => 9 * 3_600,
            Part::Afternoon => 15 * 3_600,
            Part::Evening => 18 * 3_600,
            Part::Night => 0,
        }
    }
}

/// What a word of a phrase means.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Sense {
    Word(Word),
    Unit(Unit),
    /// Both the unit and the ordinal 2.
    Second,
    Number(u32),
    Ordinal(u32),
    /// Days of the week, Monday in bit 0.
    Days(u8),
    /// 1 to 12.
    Month(u32),
    Part(Part),
    /// Second of the day: noon, midnight.
    Fixed(u32),
    /// hourly, daily, ...: every `n` units.
    Freq(u32, Unit),
}

/// The sense of a lower-case word.
pub(crate) fn sense(word: &str) -> Option<Sense> {
    particle(word)
        .map(Sense::Word)
        .or_else(|| unit(word))
        .or_else(|| day(word).map(Sense::Days))
        .or_else(|| month(word).map(Sense::Month))
        .or_else(|| number(word).map(Sense::Number))
        .or_else(|| ordinal(word).map(Sense::Ordinal))
        .or_else(|| other(word))
}

fn particle(word: &str) -> Option<Word> {
    Some(match word {
        "a" | "an" => Word::A,
        "after" => Word::After,
        "ago" => Word::Ago,
        "am" | "a.m." | "a.m" => Word::Am,
        "and" | "&" | "or" | "plus" => Word::And,
        "at" | "@" | "around" => Word::At,
        "between" => Word::Between,
        "business" | "working" | "work" => Word::Business,
        "cron" => Word::Cron,
        "during" => Word::During,
        "every" | "each" | "all" | "evry" => Word::Every,
        "except" | "excluding" | "but" => Word::Except,
        "for" => Word::For,
        "from" => Word::From,
        "half" => Word::Half,
        "in" => Word::In,
        "last" | "final" => Word::Last,
        "local" => Word::Local,
        "nearest" | "closest" => Word::Nearest,
        "next" => Word::Next,
        "now" => Word::Now,
        "o'clock" | "oclock" => Word::OClock,
        "of" => Word::Of,
        "on" => Word::On,
        "once" => Word::Once,
        "only" => Word::Only,
        "other" | "alternate" => Word::Other,
        "past" => Word::Past,
        "per" => Word::Per,
        "pm" | "p.m." | "p.m" => Word::Pm,
        "please" => Word::Please,
        "run" | "runs" | "repeat" => Word::Run,
        "single" => Word::Single,
        "starting" | "beginning" | "start" | "starts" => Word::Starting,
        "the" => Word::The,
        "this" => Word::This,
        "through" | "thru" => Word::Through,
        "time" | "timezone" => Word::Time,
        "times" | "occurrences" => Word::Times,
        "to" => Word::To,
        "today" => Word::Today,
        "tomorrow" => Word::Tomorrow,
        "tonight" => Word::Tonight,
        "twice" => Word::Twice,
        "thrice" => Word::Thrice,
        "until" | "till" | "til" => Word::Until,
        "up" => Word::Up,
        _ => return None,
    })
}

fn unit(word: &str) -> Option<Sense> {
    Some(match word {
        "second" => Sense::Second,
        "seconds" | "sec" | "secs" => Sense::Unit(Unit::Second),
        "minute" | "minutes" | "min" | "mins" => Sense::Unit(Unit::Minute),
        "hour" | "hours" | "hr" | "hrs" => Sense::Unit(Unit::Hour),
        "day" | "days" => Sense::Unit(Unit::Day),
        "week" | "weeks" | "wk" | "wks" => Sense::Unit(Unit::Week),
        "month" | "months" => Sense::Unit(Unit::Month),
        "quarter" | "quarters" => Sense::Unit(Unit::Quarter),
        "year" | "years" | "yr" | "yrs" => Sense::Unit(Unit::Year),
        _ => return None,
    })
}

/// A unit written right after a number: `5m`, `3h`.
pub(crate) fn attached_unit(word: &str) -> Option<Unit> {
    Some(match word {
        "s" => Unit::Second,
        "m" => Unit::Minute,
        "h" => Unit::Hour,
        "d" => Unit::Day,
        "w" => Unit::Week,
        "y" => Unit::Year,
        other => match unit(other)? {
            Sense::Second => Unit::Second,
            Sense::Unit(unit) => unit,
            _ => return None,
        },
    })
}

fn day(word: &str) -> Option<u8> {
    Some(match word {
        "monday" | "mondays" | "mon" => 1,
        "tuesday" | "tuesdays" | "tue" | "tues" => 1 << 1,
        "wednesday" | "wednesdays" | "wed" | "weds" => 1 << 2,
        "thursday" | "thursdays" | "thu" | "thur" | "thurs" => 1 << 3,
        "friday" | "fridays" | "fri" => 1 << 4,
        "saturday" | "saturdays" | "sat" => 1 << 5,
        "sunday" | "sundays" | "sun" => 1 << 6,
        "weekday" | "weekdays" | "workday" | "workdays" => WEEKDAYS,
        "weekend" | "weekends" => WEEKEND,
        _ => return None,
    })
}

fn month(word: &str) -> Option<u32> {
    Some(match word {
        "january" | "jan" => 1,
        "february" | "feb" => 2,
        "march" | "mar" => 3,
        "april" | "apr" => 4,
        "may" => 5,
        "june" | "jun" => 6,
        "july" | "jul" => 7,
        "august" | "aug" => 8,
        "september" | "sep" | "sept" => 9,
        "october" | "oct" => 10,
        "november" | "nov" => 11,
        "december" | "dec" => 12,
        _ => return None,
    })
}

fn number(word: &str) -> Option<u32> {
    const SMALL: [&str; 21] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
        "twenty",
    ];
    if let Some(n) = SMALL.iter().position(|s| *s == word) {
        return u32::try_from(n).ok();
    }
    Some(match word {
        "thirty" => 30,
        "forty" => 40,
        "forty-five" => 45,
        "fifty" => 50,
        "sixty" => 60,
        "ninety" => 90,
        "couple" => 2,
        _ => return None,
    })
}

fn ordinal(word: &str) -> Option<u32> {
    Some(match word {
        "first" => 1,
        "third" => 3,
        "fourth" => 4,
        "fifth" => 5,
        "sixth" => 6,
        "seventh" => 7,
        "eighth" => 8,
        "ninth" => 9,
        "tenth" => 10,
        "fifteenth" => 15,
        "twentieth" => 20,
        _ => return None,
    })
}

fn other(word: &str) -> Option<Sense> {
    Some(match word {
        "noon" | "midday" => Sense::Fixed(12 * 3_600),
        "midnight" => Sense::Fixed(0),
        "morning" | "mornings" => Sense::Part(Part::Morning),
        "afternoon" | "afternoons" => Sense::Part(Part::Afternoon),
        "evening" | "evenings" => Sense::Part(Part::Evening),
        "night" | "nights" => Sense::Part(Part::Night),
        "minutely" => Sense::Freq(1, Unit::Minute),
        "hourly" => Sense::Freq(1, Unit::Hour),
        "daily" | "everyday" | "nightly" => Sense::Freq(1, Unit::Day),
        "weekly" => Sense::Freq(1, Unit::Week),
        "biweekly" | "fortnightly" | "bi-weekly" => Sense::Freq(2, Unit::Week),
        "monthly" => Sense::Freq(1, Unit::Month),
        "bimonthly" | "bi-monthly" => Sense::Freq(2, Unit::Month),
        "quarterly" => Sense::Freq(1, Unit::Quarter),
        "yearly" | "annually" => Sense::Freq(1, Unit::Year),
        "fortnight" => Sense::Freq(2, Unit::Week),
        _ => return None,
    })
}

/// Words that are long enough to be recognised with a slip of the finger.
const FORGIVEN: [&str; 45] = [
    "afternoon",
    "annually",
    "april",
    "august",
    "between",
    "daily",
    "days",
    "december",
    "evening",
    "every",
    "february",
    "first",
    "friday",
    "fridays",
    "hourly",
    "hours",
    "january",
    "midnight",
    "minute",
    "minutes",
    "monday",
    "mondays",
    "month",
    "monthly",
    "months",
    "morning",
    "november",
    "october",
    "quarterly",
    "saturday",
    "saturdays",
    "second",
    "seconds",
    "september",
    "sunday",
    "sundays",
    "thursday",
    "thursdays",
    "tomorrow",
    "tuesday",
    "tuesdays",
    "wednesday",
    "wednesdays",
    "weekday",
    "weekdays",
];

/// Words that are near one of [`FORGIVEN`] and mean something else.
const MEANT: [&str; 12] = [
    "mouth", "mouths", "weekend", "weekends", "mourning", "daisy", "dally", "fists", "everyone", "houses", "moments",
    "monkey",
];

/// The word that a misspelt one most likely stands for: the same first letter,
/// one slip, or two in a word of nine letters.
pub(crate) fn forgive(word: &str) -> Option<&'static str> {
    let length = word.len();
    if length < 5 || !word.is_ascii() || MEANT.contains(&word) {
        return None;
    }
    let slips = |known: &str| if length.max(known.len()) >= 9 { 2 } else { 1 };
    FORGIVEN
        .iter()
        .filter(|known| known.len() >= 5 && known.as_bytes()[0] == word.as_bytes()[0])
        .filter(|known| known.len().abs_diff(length) <= slips(known))
        .map(|known| (strsim::osa_distance(known, word), *known))
        .filter(|(distance, known)| *distance <= slips(known))
        .min()
        .map(|(_, known)| known)
}
