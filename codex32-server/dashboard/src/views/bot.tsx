import { useState } from 'preact/hooks'
import { useLocation, useRoute } from 'preact-iso'
import { Executions } from '../parts/executions'
import { useLive } from '../parts/live'
import { State } from '../parts/state'
import { Time } from '../parts/time'
import { attempt, say } from '../parts/toast'
import type { BotDetail, Deployment, Trigger } from '../operations'
import { engine } from '../session'

/** One bot: what it does, what starts it, its runs and its versions. */
export function BotView() {
  const { params } = useRoute()
  const name = params.name ?? ''
  const bot = useLive(
    () => engine.bots.get(name),
    (event) => /^(bot|deployment)\./.test(event),
    [name],
  )
  if (!bot) return <section class="card" aria-busy="true" />
  return (
    <>
      <Title bot={bot} />
      <section class="card">
        <h2>What it does</h2>
        <p class="readback">{bot.explanation}</p>
        <Text bot={bot} />
      </section>
      <Triggers bot={bot} />
      <section class="card">
        <h2>Runs</h2>
        <Executions bot={bot.name} />
      </section>
      <Versions bot={bot} />
    </>
  )
}

function Title({ bot }: { bot: BotDetail }) {
  const { route } = useLocation()
  const deployed = bot.state === 'deployed'
  async function run() {
    const started = await attempt(() => engine.executions.start(bot.name))
    if (started) route(`/executions/${started.id}`)
  }
  async function flip() {
    const done = await attempt(() => (deployed ? engine.bots.stop(bot.name) : engine.bots.start(bot.name)))
    if (done) say(deployed ? 'Stopped' : 'Started')
  }
  async function remove() {
    if (!confirm(`Delete ${bot.name}? It can be restored.`)) return
    const done = await attempt(() => engine.bots.delete(bot.name))
    if (done) route('/')
  }
  return (
    <section class="card">
      <div class="row">
        <h1>{bot.name}</h1>
        <State value={bot.state} />
        <span class="grow" />
        <button class="main" type="button" disabled={!deployed} onClick={() => void run()}>
          Run now
        </button>
        {bot.deployments.length > 0 ? (
          <button type="button" onClick={() => void flip()}>
            {deployed ? 'Stop' : 'Start'}
          </button>
        ) : (
          <button type="button" onClick={() => void attempt(() => engine.deployments.create(bot.name))}>
            Deploy
          </button>
        )}
        <button class="quiet danger" type="button" onClick={() => void remove()}>
          Delete
        </button>
      </div>
      {bot.description && <p class="soft">{bot.description}</p>}
    </section>
  )
}

function Text({ bot }: { bot: BotDetail }) {
  const [draft, setDraft] = useState<string | null>(null)
  const [faults, setFaults] = useState('')
  async function save() {
    if (draft === null) return
    const checked = await attempt(() => engine.bots.validate(draft))
    if (!checked) return
    setFaults(checked.valid ? '' : checked.rendered)
    if (!checked.valid) return
    const saved = await attempt(() => engine.versions.create(bot.name, draft))
    if (!saved) return
    const deployed = await attempt(() => engine.deployments.create(bot.name))
    if (deployed) {
      say(`Version ${saved.version.number} is deployed`)
      setDraft(null)
    }
  }
  if (draft === null) {
    return (
      <details>
        <summary>Blueprint, version {bot.latest}</summary>
        <pre>{bot.blueprint}</pre>
        <button type="button" onClick={() => setDraft(bot.blueprint)}>
          Edit
        </button>
      </details>
    )
  }
  return (
    <div class="form">
      <textarea
        class="mono"
        rows={20}
        spellcheck={false}
        aria-label="Blueprint"
        value={draft}
        onInput={(event) => setDraft(event.currentTarget.value)}
      />
      {faults && (
        <pre class="error" role="alert">
          {faults}
        </pre>
      )}
      <div class="row">
        <button class="main" type="button" onClick={() => void save()}>
          Save and deploy
        </button>
        <button class="quiet" type="button" onClick={() => setDraft(null)}>
          Discard
        </button>
      </div>
    </div>
  )
}

function Triggers({ bot }: { bot: BotDetail }) {
  const list = useLive(
    () => engine.triggers.list(bot.name),
    (event) => /^(deployment|trigger|execution)\./.test(event),
    [bot.name],
  )
  if (!list || list.items.length === 0) return null
  return (
    <section class="card">
      <h2>What starts it</h2>
      <table>
        <tbody>
          {list.items.map((trigger) => (
            <TriggerRow key={trigger.id} trigger={trigger} />
          ))}
        </tbody>
      </table>
    </section>
  )
}

function TriggerRow({ trigger }: { trigger: Trigger }) {
  const settings = trigger.settings as Record<string, unknown>
  const about = settings.schedule ?? settings.event ?? settings.bot ?? settings.source ?? ''
  return (
    <tr>
      <td>
        {trigger.kind} <span class="soft">{trigger.path ? `/hooks/…/${trigger.path}` : String(about)}</span>
        {trigger.last_error && <div class="error">{trigger.last_error}</div>}
      </td>
      <td>
        {trigger.upcoming.slice(0, 3).map((ms) => (
          <div key={ms}>
            <Time ms={ms} />
          </div>
        ))}
      </td>
      <td>
        <label class="row">
          <input
            type="checkbox"
            checked={trigger.enabled}
            onChange={(event) =>
              void attempt(() => engine.triggers.setEnabled(trigger.id, event.currentTarget.checked))
            }
          />
          on
        </label>
      </td>
    </tr>
  )
}

function Versions({ bot }: { bot: BotDetail }) {
  const page = useLive(
    () => engine.versions.list(bot.name),
    (event) => /^(bot|deployment)\./.test(event),
    [bot.name],
  )
  const atWork = (number: number) => bot.deployments.filter((d: Deployment) => d.number === number)
  async function deploy(number: number) {
    const done = await attempt(() => engine.deployments.create(bot.name, { version: number }))
    if (done) say(`Version ${number} is deployed`)
  }
  if (!page) return null
  return (
    <section class="card">
      <h2>Versions</h2>
      <table>
        <tbody>
          {page.items.map((version) => (
            <tr key={version.id}>
              <td>{version.number}</td>
              <td>
                <Time ms={version.created_at} /> <div class="soft">{version.note}</div>
              </td>
              <td>
                {atWork(version.number).map((d) => (
                  <State key={d.id} value={d.status === 'active' ? 'deployed' : d.status} />
                ))}
              </td>
              <td>
                {atWork(version.number).length === 0 && (
                  <button class="quiet" type="button" onClick={() => void deploy(version.number)}>
                    Deploy this
                  </button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
