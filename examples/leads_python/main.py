"""A Python program with a bot inside: its own function is a step that survives a crash.

    python examples/leads_python/main.py ada@example.org grace@example.org

Each lead is one durable execution: were the program killed between two steps, the next
start would go on behind the last recorded one.
"""

import sys
import tempfile
from pathlib import Path

import codex32

BLUEPRINT = """
codex32: v1
name: leads
inputs:
  type: object
  required: [email]
  properties: {email: {type: string, format: email}}
steps:
  - id: lead
    use: crm.add_lead
    with: {email: "{{ input.email }}"}
    retry: 3
  - id: welcome
    use: transform.value
    with: {value: "Welcome, lead {{ steps.lead.number }}: {{ steps.lead.email }}"}
output: "{{ steps.welcome }}"
"""


def main(emails):
    with tempfile.TemporaryDirectory() as folder, codex32.Engine.open(Path(folder) / "data.db") as engine:
        leads = []

        @engine.action("crm.add_lead", idempotent=True)
        def add_lead(email):
            """Adds a lead to the list."""
            leads.append(email)
            return {"email": email, "number": len(leads)}

        engine.bots.create(BLUEPRINT)
        engine.deployments.create("leads")
        for email in emails:
            print(engine.run("leads", input={"email": email}, wait=True)["output"])


if __name__ == "__main__":
    main(sys.argv[1:] or ["ada@example.org"])
