//! Arbitrary valid blueprints.

use indexmap::IndexMap;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use crate::blueprint::*;

/// Any text that is not a template; often one that YAML could mistake for something else.
fn text() -> BoxedStrategy<String> {
    let tricky = select(vec![
        "true",
        "no",
        "null",
        "~",
        "1",
        "-1.5e3",
        "0x1f",
        "",
        " ",
        "- a",
        "a: b",
        "a #b",
        "#",
        "[x]",
        "{y: 1}",
        "&a",
        "*a",
        "!t",
        "|",
        ">",
        "%x",
        "@x",
        "`",
        "'",
        "\"",
        "a\nb",
        "a\n",
        "\n",
        "a\n\n",
        " a\nb",
        "a\n b\n",
        "a\n\tb",
        "\ta",
        "a\r\nb",
        "é\u{1F980}",
        "\u{0}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{feff}x",
        "...",
        "---",
        "? x",
        "x:",
        "a\\b",
        "1_000",
        ".5",
        "+1",
        "=",
        "<<",
        "012",
        "2024-01-01",
        "on",
        "a, b",
        "a]",
        "a}",
        ":a",
        "a:b",
    ]);
    let random = prop_oneof!["[a-z ]{1,12}", "\\PC{0,20}", ".{0,20}", "([a-z ]{0,8}\n){1,4}[a-z]{0,5}"];
    prop_oneof![tricky.prop_map(str::to_owned), random].prop_filter("no template", |t| !t.contains("{{")).boxed()
}

/// A text that is not blank.
fn filled() -> BoxedStrategy<String> {
    text().prop_filter("not blank", |t| !t.trim().is_empty()).boxed()
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![3 => "[a-z_]{1,8}".prop_map(String::from), 1 => text()]
}

fn template() -> impl Strategy<Value = String> {
    select(vec![
        "{{ input }}",
        "{{ input.a + 1 }}",
        "x {{ execution.id }} y",
        "{{ {'a': {'b': '}}'}} }}",
        "{{ trigger.at }}\n",
    ])
    .prop_map(str::to_owned)
}

fn value() -> BoxedStrategy<Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        // serde_json reads the last bit of longer fractions differently.
        (any::<i16>(), 0..8_u8).prop_map(|(n, shift)| Value::from(f64::from(n) / f64::from(1_u32 << shift))),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        text().prop_map(Value::from),
        template().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| prop_oneof![vec(inner.clone(), 0..4).prop_map(Value::from), fields(inner)])
        .boxed()
}

fn fields(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    vec((key(), inner), 0..4).prop_map(|entries| Value::Object(entries.into_iter().collect::<Map<_, _>>()))
}

/// JSON without templates.
fn literal() -> BoxedStrategy<Value> {
    fields(prop_oneof![Just(Value::Null), text().prop_map(Value::from), any::<i32>().prop_map(Value::from)]).boxed()
}

fn with() -> BoxedStrategy<Value> {
    prop_oneof![4 => fields(value()), 1 => Just(json!("{{ input }}"))].boxed()
}

fn condition() -> impl Strategy<Value = String> {
    let fixed = select(vec![
        "input.a > 1",
        "true",
        "size(input.items) > 0",
        "has(trigger.body) && input.b == \"x: y\"",
        "[1, 2].exists(i, i > 1)",
        "{'a': 1}.a == 1",
        "!input.flag",
        "input.a\n  > 1",
        "trigger.type == 'webhook' # not a comment".split(" #").next().unwrap_or(""),
    ]);
    fixed.prop_map(str::to_owned)
}

fn event_condition() -> impl Strategy<Value = String> {
    select(vec!["event.total > 5", "event.name == 'a'"]).prop_map(str::to_owned)
}

fn span() -> impl Strategy<Value = Span> {
    prop_oneof![1..100_000_u64, select(vec![1_000, 60_000, 5_400_000, 604_800_000, 86_400_000])].prop_map(Span)
}

fn bytes() -> impl Strategy<Value = Bytes> {
    prop_oneof![1..1_u64 << 40, select(vec![1 << 20, 256_000_000, 1 << 30])].prop_map(Bytes)
}

fn name() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,10}[a-z0-9])?".prop_map(|n| format!("x{n}"))
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,8}".prop_map(String::from)
}

fn dotted() -> impl Strategy<Value = String> {
    (word(), word()).prop_map(|(a, b)| format!("{a}.{b}"))
}

fn connection() -> impl Strategy<Value = Option<String>> {
    option::of(filled())
}

fn trigger() -> BoxedStrategy<Trigger> {
    let missed = select(vec![Missed::Skip, Missed::Once, Missed::All]);
    let zone = option::of(select(vec!["UTC", "Europe/Berlin"]).prop_map(str::to_owned));
    let schedule = (filled(), zone, missed, option::of(span()), option::of(literal())).prop_map(
        |(schedule, timezone, missed, jitter, input)| {
            Trigger::Schedule(ScheduleTrigger { schedule, timezone, missed, jitter, input })
        },
    );
    let respond = select(vec![Respond::Accepted, Respond::Reply]);
    let method = select(vec!["GET", "POST", "PUT"]).prop_map(str::to_owned);
    let webhook = ("[a-zA-Z0-9_-]{1,9}(/[a-z]{1,5})?", method, option::of(word()), vec(filled(), 0..3), respond)
        .prop_map(|(path, method, secret, require, respond)| {
            Trigger::Webhook(WebhookTrigger { path, method, secret, require, respond })
        });
    let event = ("[a-z.]{1,9}\\*?", option::of(event_condition()))
        .prop_map(|(event, filter)| Trigger::Event(EventTrigger { event, filter }));
    let when = select(vec![BotEnd::Succeeded, BotEnd::Failed, BotEnd::Finished]);
    let bot = (name(), when).prop_map(|(bot, when)| Trigger::Bot(BotTrigger { bot, when }));
    let poll = (dotted(), literal(), connection(), span())
        .prop_map(|(source, with, connection, every)| Trigger::Poll(PollTrigger { source, with, connection, every }));
    prop_oneof![Just(Trigger::Manual), schedule, webhook, event, bot, poll].boxed()
}

fn retry() -> BoxedStrategy<Retry> {
    let backoff = select(vec![Backoff::Constant, Backoff::Linear, Backoff::Exponential]);
    let on = vec(select(vec!["timeout", "unavailable"]).prop_map(str::to_owned), 0..2);
    let full = (1..=100_u32, backoff, span(), span(), (0..=64_u8).prop_map(|n| f64::from(n) / 64.0), on).prop_map(
        |(attempts, backoff, a, b, jitter, on)| Retry { attempts, backoff, delay: a.min(b), max: a.max(b), jitter, on },
    );
    prop_oneof![full, (1..=100_u32).prop_map(|attempts| Retry { attempts, ..Retry::default() })].boxed()
}

fn ask() -> BoxedStrategy<Ask> {
    (dotted(), with(), connection()).prop_map(|(action, with, connection)| Ask { action, with, connection }).boxed()
}

fn approval() -> BoxedStrategy<Wait> {
    let remind = (span(), 1..=1_000_u32, option::of(ask()));
    let escalate = vec((1..40_000_u64, ask()), 0..3);
    let ends = select(vec![OnTimeout::Fail, OnTimeout::Approve, OnTimeout::Decline]);
    let message = prop_oneof![filled(), template()];
    (message, option::of(ask()), option::of(remind), escalate, option::of(span()), ends)
        .prop_map(|(message, ask, remind, mut escalate, timeout, on_timeout)| {
            escalate.sort_by_key(|(after, _)| *after);
            // The last question comes before the time is over.
            let timeout = timeout.map(|span| Span(span.0 + 40_000));
            Wait::Approval(Box::new(ApprovalWait {
                message,
                // Somebody must know how to ask again.
                remind: remind.filter(|(_, _, own)| own.is_some() || ask.is_some()).map(|(every, times, ask)| Remind {
                    every,
                    times,
                    ask,
                }),
                ask,
                escalate: escalate.into_iter().map(|(after, ask)| Escalation { after: Span(after), ask }).collect(),
                timeout,
                on_timeout: if timeout.is_some() { on_timeout } else { OnTimeout::Fail },
            }))
        })
        .boxed()
}

fn signal_condition() -> impl Strategy<Value = String> {
    select(vec!["signal.total > 5", "signal == input.a"]).prop_map(str::to_owned)
}

fn wait() -> BoxedStrategy<Wait> {
    prop_oneof![
        span().prop_map(Wait::For),
        condition().prop_map(Wait::Until),
        ("[a-z.]{1,9}", option::of(event_condition()), option::of(span()))
            .prop_map(|(event, filter, timeout)| Wait::Event { event, filter, timeout }),
        ("[a-z. ]{0,9}[a-z]", option::of(signal_condition()), option::of(span()))
            .prop_map(|(signal, filter, timeout)| Wait::Signal { signal, filter, timeout }),
        approval(),
    ]
    .boxed()
}

/// Kinds without inner steps that may be retried.
fn work() -> BoxedStrategy<StepKind> {
    let language = select(vec![Language::Python, Language::Node, Language::Shell]);
    let source = prop_oneof![filled().prop_map(Source::Inline), "[a-z]{1,5}\\.py".prop_map(Source::File)];
    let env = vec(("[A-Z_]{1,6}", prop_oneof![text(), template()]), 0..3)
        .prop_map(|e| e.into_iter().collect::<IndexMap<_, _>>());
    prop_oneof![
        (dotted(), with(), connection()).prop_map(|(action, with, connection)| StepKind::Use {
            action,
            with,
            connection
        }),
        (language, source, with(), env).prop_map(|(language, source, with, env)| StepKind::Run {
            language,
            source,
            with,
            env
        }),
        (name(), with(), any::<bool>()).prop_map(|(bot, with, wait)| StepKind::Call { bot, with, wait }),
    ]
    .boxed()
}

fn step(kind: impl Strategy<Value = StepKind> + 'static) -> BoxedStrategy<Step> {
    let about = (any::<bool>(), option::of(filled()), option::of(condition()));
    let undo = (work(), option::of(retry()), option::of(span()))
        .prop_map(|(kind, retry, timeout)| Box::new(Undo { retry, timeout, kind }));
    (about, option::of(retry()), option::of(span()), option::weighted(0.3, undo), kind)
        .prop_map(|((named, title, guard), retry, timeout, undo, kind)| {
            let works = matches!(kind, StepKind::Use { .. } | StepKind::Run { .. } | StepKind::Call { .. });
            let guard = guard.filter(|_| !matches!(kind, StepKind::If { .. }));
            let (retry, timeout, undo) = if works { (retry, timeout, undo) } else { (None, None, None) };
            Step { id: String::new(), named, title, guard, retry, timeout, undo, kind }
        })
        .boxed()
}

fn steps() -> BoxedStrategy<Vec<Step>> {
    let leaf = prop_oneof![
        3 => work(),
        1 => wait().prop_map(StepKind::Wait),
        1 => prop_oneof![filled(), template()].prop_map(|message| StepKind::Fail { message }),
    ];
    let one = step(leaf).prop_recursive(3, 16, 3, |inner| {
        let any_steps = || vec(inner.clone(), 0..3);
        let some_steps = || vec(inner.clone(), 1..3);
        let case = (value(), any_steps()).prop_map(|(is, steps)| Case { is, steps });
        step(prop_oneof![
            (condition(), some_steps(), any_steps()).prop_map(|(condition, then, otherwise)| StepKind::If {
                condition,
                then,
                otherwise
            }),
            (condition(), vec(case, 0..3), any_steps()).prop_map(|(on, cases, default)| StepKind::Switch {
                on,
                cases,
                default
            }),
            (condition(), word().prop_map(|w| format!("i_{w}")), 1..9_u32, some_steps())
                .prop_map(|(items, bind, concurrency, steps)| StepKind::Foreach { items, bind, concurrency, steps }),
            vec((word(), any_steps()), 1..3).prop_map(|b| StepKind::Parallel { branches: b.into_iter().collect() }),
            (some_steps(), any_steps(), any_steps()).prop_map(|(body, catch, finally)| StepKind::Try {
                body,
                catch,
                finally
            }),
        ])
    });
    // An execution goes on as a new one from the outer steps only.
    let last = option::weighted(0.3, step(with().prop_map(|input| StepKind::Continue { input })));
    (vec(one, 1..4), last)
        .prop_map(|(mut steps, last)| {
            steps.extend(last);
            steps
        })
        .boxed()
}

fn header() -> BoxedStrategy<Blueprint> {
    let inputs = option::of(literal().prop_map(|p| json!({"type": "object", "properties": p})));
    let permissions =
        (vec("[a-z]{1,5}\\.[a-z]{1,3}(:[0-9]{1,4})?", 0..3), vec(word(), 0..3), vec("/[a-z/]{1,9}", 0..2))
            .prop_map(|(network, secrets, files)| Permissions { network, secrets, files });
    let pip = vec("[a-z]{1,5}==[0-9]\\.[0-9]{1,2}", 0..2);
    let npm = vec("(@[a-z]{1,3}/)?[a-z]{1,5}@[0-9]\\.[0-9]", 0..2);
    let dependencies = (pip, npm).prop_map(|(pip, npm)| Dependencies { pip, npm });
    let limits = (option::of(bytes()), option::of(span()), option::of(1..=4_096_u32), option::of(bytes()))
        .prop_map(|(memory, cpu, processes, output)| Limits { memory, cpu, processes, output });
    let restart = select(vec![Restart::Never, Restart::OnFailure, Restart::Always]);
    let health = option::of(
        (option::of(span()), 1..=1_000_u32)
            .prop_map(|(succeeded_within, failures)| Health { succeeded_within, failures }),
    );
    let output = option::of(value().prop_filter("null is none", |v| !v.is_null()));
    let about = (name(), option::of(text()), vec(trigger(), 0..4), inputs);
    let runs_on = proptest::collection::btree_set("[a-z0-9]([a-z0-9._-]{0,4}[a-z0-9])?", 0..3)
        .prop_map(|labels| labels.into_iter().collect::<Vec<_>>());
    let retention = (option::of(span()), option::of(1..=1_000_u32), proptest::bool::ANY)
        .prop_map(|(age, count, unarchived)| Retention { age, count, unarchived });
    let flow = prop_oneof![Just(Flow::default()), flow()];
    let means = (permissions, dependencies, limits, runs_on, (flow, option::of(span())), retention);
    (about, means, restart, health, output)
        .prop_map(
            |(
                (name, description, on, inputs),
                (permissions, dependencies, limits, runs_on, (flow, timeout), retention),
                restart,
                health,
                output,
            )| {
                Blueprint {
                    name: format!("own-{name}"),
                    description,
                    on,
                    inputs,
                    permissions,
                    dependencies,
                    limits,
                    runs_on,
                    flow,
                    timeout,
                    retention,
                    restart,
                    health,
                    native: None,
                    steps: Vec::new(),
                    output,
                }
            },
        )
        .boxed()
}

/// CEL over what a start is.
fn start_key() -> impl Strategy<Value = String> {
    select(vec!["input.a", "trigger.type", "input.a + ': ' + input.b", "'{{' + input.a"]).prop_map(str::to_owned)
}

fn flow() -> BoxedStrategy<Flow> {
    let key = || option::of(start_key());
    let concurrency = (1..1_000_000_u32, key()).prop_map(|(limit, key)| Concurrency { limit, key });
    let pace = || (1..1_000_000_u32, span(), key()).prop_map(|(limit, per, key)| Pace { limit, per, key });
    let debounce = (span(), option::of(0..9_000_u64), key()).prop_map(|(wait, more, key)| Debounce {
        wait,
        at_most: more.map(|more| Span(wait.0 + more)),
        key,
    });
    let batch = (1..=1_000_u32, span(), key()).prop_map(|(size, wait, key)| Gather { size, wait, key });
    let on_conflict = select(vec![OnConflict::Skip, OnConflict::Cancel]);
    let singleton = (key(), on_conflict).prop_map(|(key, on_conflict)| Singleton { key, on_conflict });
    let idempotency = (start_key(), span()).prop_map(|(key, window)| Idempotency { key, window });
    let begin = (option::of(debounce), option::of(batch), option::of(singleton), option::of(idempotency));
    (
        option::of(concurrency),
        option::of(pace()),
        option::of(pace()),
        begin,
        option::of(start_key()),
        option::of(span()),
    )
        .prop_map(|(concurrency, rate, throttle, (debounce, batch, singleton, idempotency), priority, start_within)| {
            // What cannot stand together is left out.
            let batch = batch.filter(|_| debounce.is_none());
            let singleton = singleton.filter(|_| debounce.is_none() && batch.is_none());
            Flow { concurrency, rate, throttle, debounce, batch, priority, singleton, idempotency, start_within }
        })
        .boxed()
}

fn native() -> impl Strategy<Value = Native> {
    let revision = option::of("[a-z0-9]([a-z0-9._-]{0,4}[a-z0-9])?");
    (name(), revision).prop_map(|(function, revision)| Native { function, revision })
}

/// Any valid blueprint.
pub(crate) fn blueprint() -> impl Strategy<Value = Blueprint> {
    (header(), steps(), option::weighted(0.1, native())).prop_map(|(mut blueprint, mut steps, native)| {
        if native.is_some() {
            return Blueprint { native, output: None, ..blueprint };
        }
        // A batch cannot go on as a new execution.
        if blueprint.flow.batch.is_some() && steps.len() > 1 {
            steps.retain(|step| !matches!(step.kind, StepKind::Continue { .. }));
        }
        blueprint.steps = steps;
        let mut count = 0;
        name_steps(&mut blueprint.steps, &mut count);
        number_steps(&mut blueprint);
        blueprint
    })
}

/// Names that clash with those that the parser makes up, and others.
fn name_steps(steps: &mut [Step], count: &mut usize) {
    for step in steps {
        *count += 1;
        if step.named {
            step.id = if count.is_multiple_of(2) { format!("step{}", *count + 1) } else { format!("s_{count}") };
        }
        let inner: Vec<&mut Vec<Step>> = match &mut step.kind {
            StepKind::If { then, otherwise, .. } => vec![then, otherwise],
            StepKind::Switch { cases, default, .. } => {
                cases.iter_mut().map(|c| &mut c.steps).chain([default]).collect()
            }
            StepKind::Foreach { steps, .. } => vec![steps],
            StepKind::Parallel { branches } => branches.values_mut().collect(),
            StepKind::Try { body, catch, finally } => vec![body, catch, finally],
            _ => Vec::new(),
        };
        for steps in inner {
            name_steps(steps, count);
        }
    }
}
