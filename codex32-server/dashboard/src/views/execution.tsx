import { useEffect, useState } from 'preact/hooks'
import { useLocation, useRoute } from 'preact-iso'
import { Json } from '../parts/json'
import { State } from '../parts/state'
import { Time, took } from '../parts/time'
import { attempt, complain } from '../parts/toast'
import type { ExecutionDetail, Happening, StepState } from '../operations'
import { engine } from '../session'

const LINES = 1_000

/** One execution, step by step as it happens. */
export function ExecutionView() {
  const { params } = useRoute()
  const id = params.id ?? ''
  const [execution, setExecution] = useState<ExecutionDetail>()
  const [lines, setLines] = useState<Happening[]>([])

  useEffect(() => {
    let alive = true
    setLines([])
    const load = async () => {
      const detail = await engine.executions.get(id)
      if (alive) setExecution(detail)
    }
    void (async () => {
      try {
        await load()
        const items = engine.executions.watch(id)
        for await (const item of items) {
          if (!alive) return void items.return?.()
          if (item.kind === 'log') setLines((before) => [...before.slice(1 - LINES), item])
          else await load()
        }
        await load()
      } catch (error) {
        if (alive) complain(error)
      }
    })()
    return () => {
      alive = false
    }
  }, [id])

  if (!execution) return <section class="card" aria-busy="true" />
  return (
    <>
      <Title execution={execution} />
      <section class="card">
        <h2>Steps</h2>
        <ol class="steps" aria-live="polite">
          {execution.steps.map((step) => (
            <Step key={step.path} step={step} />
          ))}
        </ol>
        {execution.steps.length === 0 && <p class="soft">Nothing has happened yet.</p>}
      </section>
      <section class="card">
        <h2>Input and output</h2>
        <Json value={execution.input} label="Input" />
        <Json value={execution.output} label="Output" />
      </section>
      {lines.length > 0 && <Log lines={lines} />}
    </>
  )
}

function Title({ execution }: { execution: ExecutionDetail }) {
  const { route } = useLocation()
  const over = ['succeeded', 'failed', 'cancelled'].includes(execution.status)
  const control = (work: () => Promise<unknown>) => void attempt(work)
  async function retry() {
    const again = await attempt(() => engine.executions.retry(execution.id))
    if (again) route(`/executions/${again.id}`)
  }
  return (
    <section class="card">
      <div class="row">
        <h1>
          <a href={`/bots/${execution.bot_name}`}>{execution.bot_name}</a>
        </h1>
        <State value={execution.status} />
        <span class="soft">
          <Time ms={execution.created_at} />
          {execution.finished_at ? `, ${took(execution.finished_at - execution.created_at)}` : ''}
        </span>
        <span class="grow" />
        {!over && execution.status !== 'paused' && (
          <button type="button" onClick={() => control(() => engine.executions.pause(execution.id))}>
            Pause
          </button>
        )}
        {execution.status === 'paused' && (
          <button type="button" onClick={() => control(() => engine.executions.resume(execution.id))}>
            Go on
          </button>
        )}
        {!over && (
          <button class="danger" type="button" onClick={() => control(() => engine.executions.cancel(execution.id))}>
            Cancel
          </button>
        )}
        {over && execution.status !== 'succeeded' && (
          <button class="main" type="button" onClick={() => void retry()}>
            Retry from the failed step
          </button>
        )}
      </div>
      {execution.error && <p class="error">{execution.error.message}</p>}
    </section>
  )
}

function Step({ step }: { step: StepState }) {
  return (
    <li class={`step ${step.status}`} data-step={step.path} data-status={step.status}>
      <span class="dot" aria-hidden="true" />
      <span>
        <code>{step.path}</code> <State value={step.status} />
        {step.attempt > 1 && <span class="soft"> attempt {step.attempt}</span>}
        {step.due && (
          <span class="soft">
            {' '}
            goes on <Time ms={step.due} />
          </span>
        )}
        {step.child && <a href={`/executions/${step.child}`}> its execution</a>}
      </span>
      <span class="soft">{took(step.ms)}</span>
      <div class="more">
        {step.error && <div class="error">{step.error.message}</div>}
        <Json value={step.output} label="Output" />
      </div>
    </li>
  )
}

function Log({ lines }: { lines: Happening[] }) {
  return (
    <section class="card">
      <h2>Log</h2>
      <pre class="log">
        {lines.map((line) => (
          <div key={line.seq}>
            {new Date(line.at).toLocaleTimeString()} <span class="soft">{line.step}</span> {line.text}
          </div>
        ))}
      </pre>
    </section>
  )
}
