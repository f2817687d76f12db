//! Tests of the room: phrases as data, the clock's changes, descriptions that read back.

use chrono::{DateTime, TimeZone};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::{Schedule, find};
use crate::clock::Millis;

/// Monday, 2026-01-05 10:07:30 UTC.
const NOW: &str = "2026-01-05T10:07:30Z";

fn ms(text: &str) -> Millis {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

fn local(zone: Tz, t: Millis) -> String {
    let text = zone.timestamp_millis_opt(t).unwrap().format("%a %Y-%m-%d %H:%M:%S").to_string();
    text.strip_suffix(":00").unwrap_or(&text).to_owned()
}

/// The description of `phrase` and its next two times after [`NOW`], in UTC.
fn check(phrase: &str, description: &str, next: &[&str]) {
    let schedule = Schedule::parse_at(phrase, ms(NOW), Tz::UTC).unwrap_or_else(|e| panic!("{phrase}: {e}"));
    let zone = schedule.zone().unwrap_or(Tz::UTC);
    let times: Vec<String> =
        schedule.upcoming(ms(NOW), Tz::UTC, next.len()).into_iter().map(|t| local(zone, t)).collect();
    assert_eq!(
        (schedule.describe().as_str(), times),
        (description, next.iter().map(|s| (*s).to_owned()).collect()),
        "{phrase}"
    );
    reads_back(&schedule, phrase);
}

/// The description must give the same times.
fn reads_back(schedule: &Schedule, phrase: &str) {
    let text = schedule.describe();
    let again = Schedule::parse(&text).unwrap_or_else(|e| panic!("{phrase}: description {text:?}: {e}"));
    for zone in [Tz::UTC, Tz::Europe__Berlin] {
        let (a, b) = (schedule.upcoming(ms(NOW), zone, 8), again.upcoming(ms(NOW), zone, 8));
        assert_eq!(a, b, "{phrase} -> {text}");
    }
    let settled = again.describe();
    assert_eq!(Schedule::parse(&settled).unwrap().describe(), settled, "{phrase}");
}

#[test]
fn how_often() {
    for (phrase, description, next) in [
        ("every 5 minutes", "every 5 minutes", ["Mon 2026-01-05 10:10", "Mon 2026-01-05 10:15"]),
        ("every minute", "every minute", ["Mon 2026-01-05 10:08", "Mon 2026-01-05 10:09"]),
        ("every 30s", "every 30 seconds", ["Mon 2026-01-05 10:08", "Mon 2026-01-05 10:08:30"]),
        ("each hour", "every hour", ["Mon 2026-01-05 11:00", "Mon 2026-01-05 12:00"]),
        ("hourly", "every hour", ["Mon 2026-01-05 11:00", "Mon 2026-01-05 12:00"]),
        ("every two hours", "every 2 hours", ["Mon 2026-01-05 12:00", "Mon 2026-01-05 14:00"]),
        ("every half hour", "every 30 minutes", ["Mon 2026-01-05 10:30", "Mon 2026-01-05 11:00"]),
        ("every hour and a half", "every 90 minutes", ["Mon 2026-01-05 10:30", "Mon 2026-01-05 12:00"]),
        ("every 45 minutes", "every 45 minutes", ["Mon 2026-01-05 10:30", "Mon 2026-01-05 11:15"]),
        ("every 100 minutes", "every 100 minutes", ["Mon 2026-01-05 11:20", "Mon 2026-01-05 13:00"]),
        ("daily", "every day at 00:00", ["Tue 2026-01-06 00:00", "Wed 2026-01-07 00:00"]),
        ("every other day at noon", "every 2 days at 12:00", ["Mon 2026-01-05 12:00", "Wed 2026-01-07 12:00"]),
        ("weekly", "every Sunday at 00:00", ["Sun 2026-01-11 00:00", "Sun 2026-01-18 00:00"]),
        (
            "every 2 weeks on Monday at 8",
            "every 2 weeks on Monday at 08:00",
            ["Mon 2026-01-19 08:00", "Mon 2026-02-02 08:00"],
        ),
        ("monthly", "every month on the 1st at 00:00", ["Sun 2026-02-01 00:00", "Sun 2026-03-01 00:00"]),
        (
            "quarterly",
            "every year on the 1st of January, April, July and October at 00:00",
            ["Wed 2026-04-01 00:00", "Wed 2026-07-01 00:00"],
        ),
        ("every 5 months", "every 5 months on the 1st at 00:00", ["Wed 2026-04-01 00:00", "Tue 2026-09-01 00:00"]),
        ("yearly", "every year on the 1st of January at 00:00", ["Fri 2027-01-01 00:00", "Sat 2028-01-01 00:00"]),
        ("twice a day", "every day at 00:00 and 12:00", ["Mon 2026-01-05 12:00", "Tue 2026-01-06 00:00"]),
        (
            "three times a week at 7am",
            "every Monday, Wednesday and Friday at 07:00",
            ["Wed 2026-01-07 07:00", "Fri 2026-01-09 07:00"],
        ),
        ("4 times per hour", "every 15 minutes", ["Mon 2026-01-05 10:15", "Mon 2026-01-05 10:30"]),
        (
            "twice a day between 9am and 5pm",
            "every day at 09:00 and 17:00",
            ["Mon 2026-01-05 17:00", "Tue 2026-01-06 09:00"],
        ),
        (
            "at 15 minutes past the hour",
            "at 15 minutes past every hour",
            ["Mon 2026-01-05 10:15", "Mon 2026-01-05 11:15"],
        ),
    ] {
        check(phrase, description, &next);
    }
}

#[test]
fn days_and_times() {
    for (phrase, description, next) in [
        (
            "every weekday at 9am Berlin time",
            "every weekday at 09:00 Berlin time",
            ["Tue 2026-01-06 09:00", "Wed 2026-01-07 09:00"],
        ),
        (
            "at half past eight in the evening on weekends",
            "every Saturday and Sunday at 20:30",
            ["Sat 2026-01-10 20:30", "Sun 2026-01-11 20:30"],
        ),
        ("Monday to Friday at 17h30", "every weekday at 17:30", ["Mon 2026-01-05 17:30", "Tue 2026-01-06 17:30"]),
        (
            "Mon, Wed and Fri at 6:15 pm",
            "every Monday, Wednesday and Friday at 18:15",
            ["Mon 2026-01-05 18:15", "Wed 2026-01-07 18:15"],
        ),
        (
            "fri-mon at midnight",
            "every Monday, Friday, Saturday and Sunday at 00:00",
            ["Fri 2026-01-09 00:00", "Sat 2026-01-10 00:00"],
        ),
        (
            "every day at 9:00 and 17:30",
            "every day at 09:00 and 17:30",
            ["Mon 2026-01-05 17:30", "Tue 2026-01-06 09:00"],
        ),
        ("every night at 2:30", "every day at 02:30", ["Tue 2026-01-06 02:30", "Wed 2026-01-07 02:30"]),
        ("every night at 11", "every day at 23:00", ["Mon 2026-01-05 23:00", "Tue 2026-01-06 23:00"]),
        ("every morning", "every day at 09:00", ["Tue 2026-01-06 09:00", "Wed 2026-01-07 09:00"]),
        (
            "every 10 minutes between 9am and 5pm on weekdays",
            "every 10 minutes between 09:00 and 17:00 on weekdays",
            ["Mon 2026-01-05 10:10", "Mon 2026-01-05 10:20"],
        ),
        (
            "hourly from 22:00 to 6:00",
            "every hour between 22:00 and 23:00 and every hour between 00:00 and 06:00",
            ["Mon 2026-01-05 22:00", "Mon 2026-01-05 23:00"],
        ),
        (
            "every Monday at 9am and every Friday at 5pm",
            "every Monday at 09:00 and every Friday at 17:00",
            ["Fri 2026-01-09 17:00", "Mon 2026-01-12 09:00"],
        ),
        (
            "at 9:00 on Tuesday and at 17:00 on Friday",
            "every Tuesday at 09:00 and every Friday at 17:00",
            ["Tue 2026-01-06 09:00", "Fri 2026-01-09 17:00"],
        ),
        ("quarter to nine every Tuesday", "every Tuesday at 08:45", ["Tue 2026-01-06 08:45", "Tue 2026-01-13 08:45"]),
        (
            "every other Friday at 4pm",
            "every 2 weeks on Friday at 16:00",
            ["Fri 2026-01-09 16:00", "Fri 2026-01-23 16:00"],
        ),
        ("every wensday at 10", "every Wednesday at 10:00", ["Wed 2026-01-07 10:00", "Wed 2026-01-14 10:00"]),
        (
            "daily at 8am in New York",
            "every day at 08:00 New York time",
            ["Mon 2026-01-05 08:00", "Tue 2026-01-06 08:00"],
        ),
        ("9am UTC every Thursday", "every Thursday at 09:00 UTC", ["Thu 2026-01-08 09:00", "Thu 2026-01-15 09:00"]),
        (
            "every day at 18:00 Asia/Kolkata",
            "every day at 18:00 Kolkata time",
            ["Mon 2026-01-05 18:00", "Tue 2026-01-06 18:00"],
        ),
        (
            "every day at 9 except on Sundays",
            "every day at 09:00 except on Sunday",
            ["Tue 2026-01-06 09:00", "Wed 2026-01-07 09:00"],
        ),
    ] {
        check(phrase, description, &next);
    }
}

#[test]
fn days_of_the_month() {
    for (phrase, description, next) in [
        (
            "on the last Friday of each month",
            "every month on the last Friday at 00:00",
            ["Fri 2026-01-30 00:00", "Fri 2026-02-27 00:00"],
        ),
        (
            "the first Monday of the month at 10:30",
            "every month on the first Monday at 10:30",
            ["Mon 2026-01-05 10:30", "Mon 2026-02-02 10:30"],
        ),
        (
            "1st and 15th at 6am",
            "every month on the 1st and 15th at 06:00",
            ["Thu 2026-01-15 06:00", "Sun 2026-02-01 06:00"],
        ),
        (
            "last day of the month at 23:59",
            "every month on the last day at 23:59",
            ["Sat 2026-01-31 23:59", "Sat 2026-02-28 23:59"],
        ),
        (
            "second to last day of every month",
            "every month on the 2nd to last day at 00:00",
            ["Fri 2026-01-30 00:00", "Fri 2026-02-27 00:00"],
        ),
        (
            "last weekday of the month at 17:00",
            "every month on the last weekday at 17:00",
            ["Fri 2026-01-30 17:00", "Fri 2026-02-27 17:00"],
        ),
        (
            "every 3rd Thursday of the month",
            "every month on the third Thursday at 00:00",
            ["Thu 2026-01-15 00:00", "Thu 2026-02-19 00:00"],
        ),
        (
            "every Friday the 13th at 13:13",
            "every Friday the 13th at 13:13",
            ["Fri 2026-02-13 13:13", "Fri 2026-03-13 13:13"],
        ),
        (
            "every January 1st at noon",
            "every year on the 1st of January at 12:00",
            ["Fri 2027-01-01 12:00", "Sat 2028-01-01 12:00"],
        ),
        ("every hour in December", "every hour in December", ["Tue 2026-12-01 00:00", "Tue 2026-12-01 01:00"]),
        (
            "every Monday from March to May at 7",
            "every Monday in March, April and May at 07:00",
            ["Mon 2026-03-02 07:00", "Mon 2026-03-09 07:00"],
        ),
        (
            "every year on February 29",
            "every year on the 29th of February at 00:00",
            ["Tue 2028-02-29 00:00", "Sun 2032-02-29 00:00"],
        ),
    ] {
        check(phrase, description, &next);
    }
}

#[test]
fn dates_and_bounds() {
    for (phrase, description, next) in [
        ("tomorrow at 5pm", "on 2026-01-06 at 17:00", vec!["Tue 2026-01-06 17:00"]),
        ("in 15 minutes", "on 2026-01-05 at 10:22:30", vec!["Mon 2026-01-05 10:22:30"]),
        ("next Friday at noon", "on 2026-01-09 at 12:00", vec!["Fri 2026-01-09 12:00"]),
        ("on 2026-05-01 at 8:15", "on 2026-05-01 at 08:15", vec!["Fri 2026-05-01 08:15"]),
        ("march 3rd at 12:15am", "on 2026-03-03 at 00:15", vec!["Tue 2026-03-03 00:15"]),
        (
            "every day at 9 until 2026-01-07",
            "every day at 09:00 until 2026-01-07",
            vec!["Tue 2026-01-06 09:00", "Wed 2026-01-07 09:00"],
        ),
        (
            "every day for 3 times",
            "every day at 00:00 until 2026-01-08 at 00:00",
            vec!["Tue 2026-01-06 00:00", "Wed 2026-01-07 00:00", "Thu 2026-01-08 00:00"],
        ),
        (
            "every Monday starting on 2026-02-01",
            "every Monday at 00:00 starting on 2026-02-01",
            vec!["Mon 2026-02-02 00:00"],
        ),
        (
            "every 3 days starting 2026-01-10 at 6am",
            "every 3 days at 06:00 starting on 2026-01-10 at 06:00",
            vec!["Sat 2026-01-10 06:00", "Tue 2026-01-13 06:00"],
        ),
    ] {
        check(phrase, description, &next);
    }
}

#[test]
fn cron_expressions() {
    for (cron, description, next) in [
        ("*/5 * * * *", "every 5 minutes", "Mon 2026-01-05 10:10"),
        ("0 9 * * 1-5", "every weekday at 09:00", "Tue 2026-01-06 09:00"),
        ("0 9-17 * * MON", "every hour between 09:00 and 17:00 on Monday", "Mon 2026-01-05 11:00"),
        ("*/10 * * * * *", "every 10 seconds", "Mon 2026-01-05 10:07:40"),
        ("0 0 L * *", "every month on the last day at 00:00", "Sat 2026-01-31 00:00"),
        ("0 8 * * 1#2", "every month on the second Monday at 08:00", "Mon 2026-01-12 08:00"),
        ("0 8 * * FRI#L", "every month on the last Friday at 08:00", "Fri 2026-01-30 08:00"),
        ("0 6 17W * *", "every month on the weekday nearest the 17th at 06:00", "Fri 2026-01-16 06:00"),
        ("0 6 13 * +FRI", "0 6 13 * +5", "Fri 2026-02-13 06:00"),
        ("3,11 */2 * * *", "3,11 */2 * * *", "Mon 2026-01-05 10:11"),
        ("@daily", "every day at 00:00", "Tue 2026-01-06 00:00"),
        ("0 9 * * * Europe/Berlin", "every day at 09:00 Berlin time", "Tue 2026-01-06 09:00"),
    ] {
        check(cron, description, &[next]);
    }
}

/// What a phrase becomes in cron, and that Croner finds the same times.
#[test]
fn rules_become_cron() {
    for (phrase, crons) in [
        ("every weekday at 9am", vec!["0 9 * * 1-5"]),
        ("at 9:00 and 17:30", vec!["0 9 * * *", "30 17 * * *"]),
        ("every 45 minutes", vec!["0,45 */3 * * *", "30 1-22/3 * * *", "15 2-23/3 * * *"]),
        ("every 5 minutes between 9am and 5pm", vec!["*/5 9-16 * * *", "0 17 * * *"]),
        ("last Friday of the month at 6", vec!["0 6 * * 5L"]),
        ("the weekday nearest the 1st at 6", vec!["0 6 1W * *"]),
        ("every month on the weekday nearest the 31st", vec!["0 0 31W * *"]),
        ("every 2 hours at minutes 5 and 20", vec!["5,20 */2 * * *"]),
        ("1st and 15th of the month", vec!["0 0 1,15 * *"]),
        ("every 15 seconds", vec!["*/15 * * * * *"]),
        ("every Saturday in July and August at 9:04:52", vec!["52 4 9 * 7,8 6"]),
    ] {
        let schedule = Schedule::parse(phrase).unwrap();
        let texts = schedule.cron().unwrap_or_default();
        assert_eq!(texts, crons, "{phrase}");
        let parsed: Vec<croner::Cron> = texts.iter().map(|t| t.parse().unwrap()).collect();
        let mut at = ms(NOW);
        for _ in 0..300 {
            let start = Tz::UTC.timestamp_millis_opt(at).unwrap();
            let expected =
                parsed.iter().map(|c| c.find_next_occurrence(&start, false).unwrap().timestamp_millis()).min();
            assert_eq!(schedule.next(at, Tz::UTC), expected, "{phrase} after {start}");
            at = expected.unwrap();
        }
    }
    assert_eq!(Schedule::parse("every 2 weeks").unwrap().cron(), None);
    assert_eq!(Schedule::parse("every 100 minutes").unwrap().cron(), None);
}

#[test]
fn what_is_not_understood_is_named() {
    for (phrase, part) in [
        ("every blue moon", "blue moon"),
        ("every day at 9am sharp-ish", "sharp-ish"),
        ("every 5 minutes unless it rains", "unless it rains"),
        ("whenever", "whenever"),
        ("", "it is empty"),
        ("on February 30 every year", "february 30"),
        ("61 * * * *", "out of bounds"),
        ("0 0 31 2 *", "never happens"),
        ("tomorrow", "counted from now"),
        ("in Berlin time", "says no time"),
    ] {
        let error = Schedule::parse(phrase).expect_err(phrase);
        assert!(error.to_string().to_lowercase().contains(&part.to_lowercase()), "{phrase}: {error}");
        assert!(error.hint_text().is_some());
    }
}

/// Instants in UTC after `after`, for a schedule in `zone`.
fn instants(phrase: &str, zone: Tz, after: &str, n: usize) -> Vec<String> {
    let times = Schedule::parse(phrase).unwrap().upcoming(ms(after), zone, n);
    times.into_iter().map(|t| local(Tz::UTC, t)[4..].to_owned()).collect()
}

#[test]
fn skipped_times_run_after_the_gap() {
    // Berlin: 2026-03-29 02:00 -> 03:00. New York: 2026-03-08 02:00 -> 03:00.
    assert_eq!(
        instants("every day at 2:30", Tz::Europe__Berlin, "2026-03-28T00:00:00Z", 3),
        ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"]
    );
    assert_eq!(
        instants("30 2 * * *", Tz::America__New_York, "2026-03-07T12:00:00Z", 2),
        ["2026-03-08 07:00", "2026-03-09 06:30"]
    );
    assert_eq!(
        instants("every 30 minutes", Tz::Europe__Berlin, "2026-03-29T00:15:00Z", 3),
        ["2026-03-29 00:30", "2026-03-29 01:00", "2026-03-29 01:30"]
    );
}

#[test]
fn doubled_times_run_once_and_repetitions_twice() {
    // Berlin: 2026-10-25 03:00 -> 02:00. New York: 2026-11-01 02:00 -> 01:00.
    assert_eq!(
        instants("every day at 2:30", Tz::Europe__Berlin, "2026-10-24T12:00:00Z", 2),
        ["2026-10-25 00:30", "2026-10-26 01:30"]
    );
    assert_eq!(
        instants("at 1:15 and 1:45", Tz::America__New_York, "2026-11-01T05:00:00Z", 3),
        ["2026-11-01 05:15", "2026-11-01 05:45", "2026-11-02 06:15"]
    );
    assert_eq!(
        instants("every 30 minutes", Tz::Europe__Berlin, "2026-10-25T00:15:00Z", 5),
        ["2026-10-25 00:30", "2026-10-25 01:00", "2026-10-25 01:30", "2026-10-25 02:00", "2026-10-25 02:30"]
    );
}

#[test]
fn the_local_hour_stays_over_the_year() {
    assert_eq!(
        instants("every weekday at 9am Berlin time", Tz::UTC, "2026-03-27T12:00:00Z", 2),
        ["2026-03-30 07:00", "2026-03-31 07:00"]
    );
    assert_eq!(instants("every weekday at 9am Berlin time", Tz::UTC, "2026-10-23T12:00:00Z", 1), ["2026-10-26 08:00"]);
}

#[test]
fn finds_the_schedule_in_a_sentence() {
    for (text, spans, description) in [
        (
            "every weekday at 9am Berlin time email me the rows",
            vec!["every weekday at 9am Berlin time"],
            "every weekday at 09:00 Berlin time",
        ),
        ("fetch the page every 5 minutes and post it", vec!["every 5 minutes"], "every 5 minutes"),
        ("every weekday email me the report at 9am", vec!["every weekday", "at 9am"], "every weekday at 09:00"),
        (
            "on the last Friday of each month, insert every row",
            vec!["on the last Friday of each month"],
            "every month on the last Friday at 00:00",
        ),
        ("at midnight delete files older than 3 days", vec!["at midnight"], "every day at 00:00"),
    ] {
        let found = find(text, &[], ms(NOW), Tz::UTC).unwrap_or_else(|| panic!("{text}"));
        let said: Vec<&str> = found.spans.iter().map(|s| &text[s.clone()]).collect();
        assert_eq!((said, found.schedule.describe().as_str()), (spans, description), "{text}");
    }
    for text in [
        "send each new item to slack",
        "insert every row into invoices",
        "if usd is below 50000 post it",
        "wait 10 minutes and retry",
        "",
    ] {
        assert!(find(text, &[], ms(NOW), Tz::UTC).is_none(), "{text}");
    }
}

fn phrase() -> impl Strategy<Value = String> {
    let lead = prop::sample::select(vec![
        "every",
        "each",
        "every other",
        "on",
        "at",
        "daily",
        "weekly on",
        "twice a",
        "the last",
        "first",
        "every 7",
        "from",
        "every 90",
        "between",
        "in",
        "starting",
        "except",
        "until",
        "for",
        "*/7",
        "0 9",
        "1st and",
        "half past",
    ]);
    let word = prop::sample::select(vec![
        "monday",
        "weekday",
        "day",
        "week",
        "month",
        "year",
        "minutes",
        "hours",
        "second",
        "march",
        "at",
        "9am",
        "17:30",
        "noon",
        "and",
        "to",
        ",",
        "15th",
        "last",
        "of the month",
        "friday the 13th",
        "in berlin time",
        "2026-05-01",
        "tomorrow",
        "5",
        "L",
        "times",
        "morning",
        "until june",
        "on sundays",
        "*",
        "1-5",
        "every",
    ]);
    (lead, prop::collection::vec(word, 0..7)).prop_map(|(lead, words)| format!("{lead} {}", words.join(" ")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics_on_any_text(text in "\\PC{0,60}") {
        if let Ok(s) = Schedule::parse_at(&text, ms(NOW), Tz::Europe__Berlin) {
            let _ = (s.upcoming(ms(NOW), Tz::UTC, 3), s.describe(), s.cron());
        }
        let _ = find(&text, &[], ms(NOW), Tz::UTC);
    }

    #[test]
    fn descriptions_read_back(text in phrase()) {
        if let Ok(s) = Schedule::parse_at(&text, ms(NOW), Tz::UTC) {
            reads_back(&s, &text);
            let times = s.upcoming(ms(NOW), Tz::Europe__Berlin, 5);
            prop_assert!(times.windows(2).all(|w| w[0] < w[1]), "{text}: {times:?}");
        }
    }
}
