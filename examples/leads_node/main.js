'use strict'
// A Node program with a bot inside: its own function is a step that survives a crash.
//
//   node examples/leads_node/main.js ada@example.org grace@example.org
//
// In a program of your own it is require('codex32').

const { mkdtempSync, rmSync } = require('node:fs')
const { tmpdir } = require('node:os')
const { join } = require('node:path')
const { Engine } = require('../../codex32-node')

const BLUEPRINT = `
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
`

async function main(emails) {
  const folder = mkdtempSync(join(tmpdir(), 'codex32-leads-'))
  const engine = await Engine.open(join(folder, 'data.db'))
  const leads = []
  engine.action('crm.add_lead', { idempotent: true }, async ({ email }) => {
    leads.push(email)
    return { email, number: leads.length }
  })
  await engine.bots.create(BLUEPRINT)
  await engine.deployments.create('leads')
  for (const email of emails) {
    const done = await engine.run('leads', { input: { email }, wait: true })
    console.log(done.output)
  }
  await engine.close()
  rmSync(folder, { recursive: true })
}

main(process.argv.length > 2 ? process.argv.slice(2) : ['ada@example.org'])
