import { useEffect, useState } from 'preact/hooks'
import { attempt, say } from '../parts/toast'
import { Time } from '../parts/time'
import type { ConnectorSpec, SecretInfo } from '../operations'
import { engine } from '../session'

/** Credentials and addresses: forms made of what each connector asks for. */
export function SettingsView() {
  const [connectors, setConnectors] = useState<ConnectorSpec[]>([])
  const [known, setKnown] = useState<SecretInfo[]>([])
  const load = () =>
    attempt(async () => {
      const list = await engine.connectors.list()
      const names = list.items.filter((row) => row.needs_connection).map((row) => row.name)
      setConnectors(await Promise.all(names.map((name) => engine.connectors.get(name))))
      setKnown((await engine.connections.list()).items)
    })
  useEffect(() => void load(), [])
  return (
    <>
      <section class="card">
        <h1>Connections</h1>
        <p class="soft">Stored encrypted. What is entered here is used by bots and never shown again.</p>
      </section>
      {connectors.map((connector) => (
        <Connection
          key={connector.name}
          connector={connector}
          info={known.find((info) => info.name === connector.name)}
          changed={() => void load()}
        />
      ))}
    </>
  )
}

interface Property {
  type?: string
  title?: string
  description?: string
  default?: unknown
  enum?: string[]
  writeOnly?: boolean
  examples?: unknown[]
}

interface Schema {
  properties?: Record<string, Property>
  required?: string[]
}

interface ConnectionProps {
  connector: ConnectorSpec
  info?: SecretInfo
  changed: () => void
}

function Connection({ connector, info, changed }: ConnectionProps) {
  const schema = (connector.connection ?? {}) as Schema
  async function save(event: SubmitEvent) {
    event.preventDefault()
    const form = new FormData(event.currentTarget as HTMLFormElement)
    const value: Record<string, unknown> = {}
    for (const [name, property] of Object.entries(schema.properties ?? {})) {
      const text = String(form.get(name) ?? '').trim()
      if (text) value[name] = read(property, text)
    }
    const done = await attempt(() => engine.connections.set(connector.name, value))
    if (done) {
      say(`${connector.title} is connected`)
      changed()
    }
  }
  async function remove() {
    const done = await attempt(() => engine.connections.delete(connector.name))
    if (done) changed()
  }
  return (
    <section class="card">
      <details open={false}>
        <summary>
          <b>{connector.title}</b>{' '}
          {info ? (
            <span class="state succeeded">
              ✓ connected <Time ms={info.updated_at} />
            </span>
          ) : (
            <span class="soft">not connected</span>
          )}
        </summary>
        <form class="form" onSubmit={(event) => void save(event)}>
          {Object.entries(schema.properties ?? {}).map(([name, property]) => (
            <label key={name}>
              {property.title ?? name}
              <Input name={name} property={property} required={schema.required?.includes(name) ?? false} />
              {property.description && <small>{property.description}</small>}
            </label>
          ))}
          <div class="row">
            <button class="main" type="submit">
              Save
            </button>
            {info && (
              <button class="quiet danger" type="button" onClick={() => void remove()}>
                Disconnect
              </button>
            )}
          </div>
        </form>
      </details>
    </section>
  )
}

function Input({ name, property, required }: { name: string; property: Property; required: boolean }) {
  if (property.enum) {
    return (
      <select name={name} required={required}>
        {!required && <option value="" />}
        {property.enum.map((value) => (
          <option key={value}>{value}</option>
        ))}
      </select>
    )
  }
  const kind = property.writeOnly ? 'password' : property.type === 'integer' ? 'number' : 'text'
  const hint = property.examples?.[0] ?? property.default ?? ''
  return <input name={name} type={kind} required={required} autoComplete="off" placeholder={String(hint)} />
}

function read(property: Property, text: string): unknown {
  if (property.type === 'integer' || property.type === 'number') return Number(text)
  if (property.type === 'boolean') return text === 'true'
  return text
}
