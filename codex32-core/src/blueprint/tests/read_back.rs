use crate::blueprint::{explain, parse};
use crate::catalogue::Catalogue;

const SPOKEN: &[&str] = &[
    r#"
codex32: v1
name: btc-watch
on: [{schedule: every 5 minutes}]
permissions: {network: ["127.0.0.1:8080"]}
steps:
  - {id: price, use: http.get, with: {url: "http://127.0.0.1:8080/price.json"}}
  - if: steps.price.body.usd < 50000
    then: [{use: http.post, with: {url: "http://127.0.0.1:8080/alerts", json: "{{ steps.price.body }}"}}]
"#,
    r#"
codex32: v1
name: report
on: [{schedule: every weekday at 9am, timezone: Europe/Berlin}, {webhook: report, require: [email, name], secret: sign}]
steps:
  - {id: count, use: sql.count, with: {table: orders}}
  - {use: email.send, with: {to: ada@example.com, subject: "Orders: {{ steps.count.count }}"}}
"#,
    r#"
codex32: v1
name: triage-all
on: [{schedule: every 10 minutes}, {event: order.created, where: event.total > 5}, {bot: other, when: failed}]
timeout: 5m
restart: on_failure
health: {succeeded_within: 90m}
runs_on: [gpu, eu]
permissions: {network: [a.example, b.example], secrets: [k], files: [/data]}
steps:
  - {id: list, use: http.get, with: {url: "https://a.example/items"}, retry: 5}
  - foreach: steps.list.body.items.filter(i, i.status == 'open')
    concurrency: 4
    steps:
      - {call: triage, with: "{{ item }}"}
  - switch: input.kind
    cases: [{is: a, steps: [{wait: 90s}]}, {is: 2, steps: [{fail: "no {{ input.name }}"}]}]
    default: [{run: shell, code: "ls\nls", if: has(input.deep)}]
  - parallel:
      first_half: [{wait: {until: input.when}}]
      rest: [{wait: {event: go, where: event.x == 1, timeout: 1d}}]
  - try: [{wait: {approval: "Post {{ input.text }}?", ask: {use: email.send, with: {to: a@b.example, subject: x}}, timeout: 2h}}]
    catch: [{use: log.write, with: {message: "{{ error.message }}"}}]
    finally: [{call: cleanup, wait: false}]
  - if: input.a
    then: [{wait: 1s}]
    else: [{wait: 2s}]
"#,
    r#"
codex32: v1
name: order
permissions: {network: [pay.example.org]}
steps:
  - id: charge
    use: http.post
    with: {url: "https://pay.example.org/charges", json: "{{ input }}"}
    retry: 3
    undo: {use: http.delete, with: {url: "https://pay.example.org/charges/{{ result.body.id }}"}}
  - {call: shipping, with: {order: "{{ input.order }}"}, undo: {call: take-back, with: {parcel: "{{ result }}"}}}
  - wait: {signal: delivered, where: signal.order == input.order, timeout: 7d}
  - wait:
      approval: Close {{ input.order }}?
      ask: {use: slack.send, with: {text: "close?", channel: shop}}
      remind: {every: 1h, times: 3}
      escalate: [{after: 1d, ask: {use: email.send, with: {to: boss@example.org, subject: "close?"}}}]
      timeout: 2d
      on_timeout: approve
  - continue: {order: "{{ input.order + 1 }}"}
"#,
    r#"
codex32: v1
name: sync
flow:
  concurrency: {limit: 5, key: input.customer}
  rate: {limit: 100, per: 1m}
  throttle: {limit: 1, per: 10s, key: input.customer}
  priority: "input.vip ? 10 : 0"
  singleton: {key: input.account, on_conflict: cancel}
  idempotency: {key: input.order, window: 24h}
  start_within: 10m
steps: [{use: log.write, with: {message: "{{ input.customer }}"}}]
"#,
    r#"
codex32: v1
name: index
flow: {debounce: {wait: 10s, at_most: 5m, key: input.document}}
steps: [{use: log.write, with: {message: "{{ input.document }}"}}]
"#,
    r#"
codex32: v1
name: load
flow: {batch: {size: 100, wait: 30s}}
steps: [{use: log.write, with: {message: "{{ size(input.items) }}"}}]
"#,
    r#"
codex32: v1
name: runner
restart: always
steps: [{run: node, file: main.js}]
"#,
    r#"
codex32: v1
name: feed
on: [{use: rss.new_item, with: {url: "https://a.example/feed"}}]
steps: [{use: slack.send, with: {text: "{{ input.title }}: {{ input.link }}", channel: news}}]
"#,
];

#[test]
fn blueprints_are_read_back() {
    let spoken = SPOKEN.iter().map(|text| {
        let b = parse(text).unwrap_or_else(|found| panic!("{}", found.render(text, false)));
        format!("{}\n{}\n", b.name, explain(&b, Catalogue::builtin()))
    });
    insta::assert_snapshot!(spoken.collect::<Vec<_>>().join("\n"));
}

#[test]
fn a_native_function_stands_alone() {
    let b = parse("codex32: v1\nname: order\nnative: {function: order, revision: \"2\"}\ntimeout: 1h\n").unwrap();
    let read = "When started by hand: run the function order of a program, revision 2.\nIt takes at most 1 hour.";
    assert_eq!(explain(&b, Catalogue::builtin()), read);
    let both = parse("codex32: v1\nname: order\nnative: order\nsteps: [{wait: 1s}]\noutput: 1\n").unwrap_err();
    let messages: Vec<&str> = both.iter().map(|found| found.message.as_str()).collect();
    assert_eq!(
        messages,
        ["a bot is a native function or has steps, not both", "the output of a native function is what it returns"]
    );
    for wrong in ["native: {revision: \"2\"}", "native: [order]", "native: Order", "native: {function: o, revision: B}"]
    {
        assert!(parse(&format!("codex32: v1\nname: order\n{wrong}\n")).is_err(), "{wrong}");
    }
}
