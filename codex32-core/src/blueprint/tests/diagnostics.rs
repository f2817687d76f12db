//! Broken blueprints and what is said about them.

use crate::blueprint::check;
use crate::catalogue::Catalogue;

/// What is said about `text`, which stands without the lines that all blueprints begin with.
#[track_caller]
fn said(name: &str, text: &str) {
    let (usable, found) = check(text, Catalogue::builtin());
    assert_eq!(usable.is_none(), found.has_errors());
    let rendered = if found.is_empty() { "nothing is wrong".to_owned() } else { found.render(text, false) };
    let settings = {
        let mut settings = insta::Settings::clone_current();
        settings.set_prepend_module_to_snapshot(false);
        settings.set_snapshot_path("snapshots");
        settings.set_omit_expression(true);
        settings
    };
    settings.bind(|| insta::assert_snapshot!(name, format!("{text}\n=====\n\n{rendered}\n")));
}

#[test]
fn broken_blueprints_are_explained() {
    for (name, text) in BROKEN {
        said(name, text.trim_start());
    }
}

const BROKEN: &[(&str, &str)] = &[
    ("empty", ""),
    ("not_yaml", "codex32: v1\nname: x\nsteps:\n  - use: http.get\n   with: {}\n"),
    ("tabs", "codex32: v1\nname: x\nsteps:\n\t- use: http.get\n"),
    ("unquoted_template", "codex32: v1\nname: x\nsteps:\n  - use: http.get\n    with:\n      url: {{ input.url }}\n"),
    ("aliases", "codex32: v1\nname: &n x\ndescription: *n\nsteps: []\n"),
    ("two_documents", "codex32: v1\nname: x\nsteps: [{wait: 1s}]\n---\nname: y\n"),
    (
        "header",
        r#"
codex32: v2
name: My Bot!
descripton: typo in the key
timeout: 5
restart: allways
health: {failures: 0}
limits: {memory: lots, processes: 1.5}
runs_on: [GPU, eu, eu]
permissions:
  network: ["https://example.com/x", "*"]
  files: [relative/path]
  secret: [a]
dependencies: {pip: [requests], npm: ["left-pad"]}
inputs: {email: {type: string}}
name: again
"#,
    ),
    (
        "flow",
        r#"
codex32: v1
name: x
inputs: {type: object, additionalProperties: false, properties: {customer: {type: string}}}
flow:
  concurrency: {limit: 0, key: "{{ input.customer }}"}
  rate: {limit: 5, key: input.custmer}
  throttle: {limit: 5, per: 2y}
  debounce: {wait: 10s, at_most: 1s, key: secrets.token}
  batch: {size: 100, wait: 30s, key: steps.a}
  singleton: {on_conflict: wait}
  priority: input.vip ?
  idempotency: {window: 0s}
  start_in: 5m
steps: [{continue: {customer: a}}]
"#,
    ),
    (
        "flow_of_a_batch",
        r#"
codex32: v1
name: x
inputs: {type: object, additionalProperties: false, properties: {customer: {type: string}}}
flow: {batch: {size: 10, wait: 1s, key: input.items}}
steps: [{use: log.write, with: {message: "{{ input.items[0].customer }} {{ input.customer }}"}}]
"#,
    ),
    (
        "triggers",
        r#"
codex32: v1
name: x
on:
  - every 5 minutes
  - schedule: every fortnigth or so
  - schedule: every day at 9am
    timezone: Berlin
    mised: skip
  - webhook: /leads
    method: post
  - event: order.created
    where: events.total > 5
  - bot: x
  - use: rss.new_items
    with: {uri: "https://example.com/feed"}
  - shedule: every hour
  - schedule: every hour
    webhook: y
steps: [{use: log.write, with: {message: hi}}]
"#,
    ),
    (
        "steps",
        r#"
codex32: v1
name: x
steps:
  - id: a b
    use: log.write
    with: {message: hi}
  - uses: http.get
  - use: http.get
    run: python
  - if: input.x > 1
  - then: []
  - run: pyton
    code: print(1)
  - run: python
  - run: node
    code: x
    file: y.js
  - wait: soon
  - wait: {approval: ok?, ask: {with: {}}}
  - call: x
  - foreach: input.items
    as: steps
    steps: []
  - parallel: [a, b]
  - try: [{wait: 1s}]
  - switch: input.x
    cases: [{steps: []}]
  - fail: ""
  - just a text
  - http.get: {url: x}
"#,
    ),
    (
        "expressions",
        r#"
codex32: v1
name: x
permissions: {secrets: [api_key]}
inputs: {type: object, properties: {email: {type: string}}, additionalProperties: false}
steps:
  - id: price
    use: http.get
    connection: shop
    with:
      url: "https://example.com/{{ input.emial }}"
      headers: {Authorization: "Bearer {{ secrets.apikey }}"}
      query:
        a: "{{ steps.price.body }}"
        b: "{{ stesp.x }}"
        c: "{{ 1 + }}"
        d: "{{ now() }}"
        e: "{{ price.body }}"
        f: "{{ secrets }}"
  - if: steps.pricee.body.usd < 50000 and true
    then: [{wait: 1s}]
  - if: steps.later.x == 1 && secrets.api_key == 'x'
    then: [{wait: 1s}]
  - run: python
    code: |
      pass
    with:
      text: |
        first line
        second {{ input.emial }} and {{ nothing }}
  - id: later
    if: |
      input.email == 'x'
        && inpt.y
    wait: 5m
output: "{{ item }}"
"#,
    ),
    (
        "undo",
        r#"
codex32: v1
name: x
permissions: {network: [pay.example.org], secrets: [key]}
steps:
  - id: charge
    use: http.post
    with: {url: "https://pay.example.org/charges", headers: {X-Id: "{{ result.id }}"}}
    undo:
      use: http.post
      with: {url: "https://elsewhere.example.org/refunds", json: "{{ result.body }}", headers: {X-Key: "{{ secrets.key }}"}}
  - id: book
    call: booking
    undo: {call: x, with: {id: "{{ reslt.id }}", of: "{{ steps.later }}"}}
  - id: later
    run: python
    code: pass
    undo: {run: shell}
  - {use: log.write, with: {message: hi}, undo: {id: u, use: log.write, with: {message: bye}, undo: {use: log.write}}}
  - {use: log.write, with: {message: hi}, undo: {with: {}}}
  - {use: log.write, with: {message: hi}, undo: log.write}
  - {wait: 1s, undo: {use: log.write, with: {message: hi}}}
"#,
    ),
    (
        "waits",
        r#"
codex32: v1
name: x
steps:
  - wait: {signal: ""}
  - wait: {signal: go, where: event.n == 1}
  - wait: {signal: go, event: go}
  - wait: {approval: ok?, remind: {every: 1h}, on_timeout: approve}
  - wait: {approval: ok?, remind: {times: 3}, ask: {use: slack.send, with: {text: hi}}}
  - wait:
      approval: ok?
      timeout: 3h
      on_timeout: mabye
      escalate:
        - {after: 2h, ask: {use: slack.sent, with: {text: hi}}}
        - {after: 1h, ask: {use: slack.send, with: {text: hi}}}
        - {after: 3h, ask: {use: slack.send, with: {text: hi}}}
        - {after: 1h}
"#,
    ),
    (
        "continue",
        r#"
codex32: v1
name: x
permissions: {secrets: [key]}
steps:
  - foreach: input.items
    steps: [{continue: {}}]
  - parallel: {a: [{if: "true", then: [{continue: {}}]}]}
  - try: [{continue: {}}]
    catch: []
  - continue: {key: "{{ secrets.key }}", next: "{{ steps.missing }}"}
  - continue: [1]
"#,
    ),
    (
        "cycle",
        r#"
codex32: v1
name: x
steps:
  - id: a
    use: log.write
    with: {message: "{{ steps.b.x }}"}
  - id: b
    use: log.write
    with: {message: "{{ steps.a.x }}"}
  - id: c
    use: log.write
    with: {message: "{{ steps.c.x }}"}
"#,
    ),
    (
        "branches",
        r#"
codex32: v1
name: x
steps:
  - parallel:
      left: [{id: l, wait: 1s}]
      right: [{id: r, use: log.write, with: {message: "{{ steps.l }}"}}]
  - foreach: input.items
    as: row
    steps:
      - {id: inner, use: log.write, with: {message: "{{ row.id }} {{ index }} {{ item }}"}}
  - {use: log.write, with: {message: "{{ steps.inner }} {{ steps.l }} {{ error.message }}"}}
  - try: [{id: t, fail: x}]
    catch: [{use: log.write, with: {message: "{{ error.message }} {{ steps.t }}"}}]
"#,
    ),
    (
        "catalogue",
        r#"
codex32: v1
name: x
on:
  - use: http.get
permissions: {network: [api.example.com], files: [/data]}
steps:
  - use: htp.get
  - use: mail.send
  - use: http.fetch
  - use: rss.new_item
  - use: http.get
  - use: http.get
    with: {URL: "https://api.example.com/"}
  - use: http.get
    with: {url: "http://127.0.0.1:8080/price.json", response: jsn, follow: many, headers: [a]}
  - use: http.get
    with: {url: "https://api.example.com/{{ input.id }}", follow: "{{ input.n }}", timeout: 5}
  - use: file.read
    with: {path: /etc/passwd}
  - use: log.write
    with: {message: x}
    connection: main
  - use: webhook.reply
    with: {body: {ok: true}}
"#,
    ),
    (
        "fine",
        r#"
codex32: v1
name: btc-watch
description: Post the price when it is low.
on:
  - schedule: every 5 minutes
    timezone: Europe/Berlin
  - manual
permissions: {network: ["127.0.0.1:8080"], secrets: [api_key]}
steps:
  - id: price
    use: http.get
    with: {url: "http://127.0.0.1:8080/price.json"}
    retry: 3
  - if: steps.price.body.usd < 50000
    then:
      - use: http.post
        with: {url: "http://127.0.0.1:8080/alerts", json: "{{ steps.price.body }}", headers: {X-Key: "{{ secrets.api_key }}"}}
"#,
    ),
];
