import { useEffect, useState } from 'preact/hooks'
import { useLocation } from 'preact-iso'
import { draft, glimpse, type Glimpse } from '../draft'
import { engine, me } from '../session'
import { attempt, say } from './toast'

const EXAMPLES = [
  'every hour check https://example.org and tell me on telegram if it is down',
  'when a webhook arrives with a field "email", store it in table leads and reply with {"ok": true}',
  'every weekday at 9am Berlin time email me the number of rows in table orders',
]

/** Milliseconds of silence after which the server is asked. */
const SILENCE = 250

/** The one prompt box: a sentence in, the bot as it is understood beside it. */
export function Prompt() {
  const { route } = useLocation()
  const [text, setText] = useState('')
  const [answers, setAnswers] = useState<Record<string, string>>({})
  const [seen, setSeen] = useState<Glimpse | null>(null)
  const [busy, setBusy] = useState(false)

  useEffect(() => {
    if (!text.trim()) {
      setSeen(null)
      return
    }
    let alive = true
    const context = { email: me.value?.email || undefined, now: Date.now(), answers }
    void glimpse(text, context).then((first) => alive && first && setSeen(first))
    const timer = setTimeout(async () => {
      const whole = await attempt(() => draft(text, answers))
      if (alive && whole) setSeen(whole)
    }, SILENCE)
    return () => {
      alive = false
      clearTimeout(timer)
    }
  }, [text, answers])

  async function make() {
    setBusy(true)
    const made = await attempt(() => engine.builder.make(text, { answers }))
    setBusy(false)
    if (!made) return
    say(`${made.bot.name} is made and deployed`)
    setText('')
    setAnswers({})
    route(`/bots/${made.bot.name}`)
  }

  return (
    <section class="card prompt">
      <h1>
        <label for="prompt">What should be automated?</label>
      </h1>
      <textarea
        id="prompt"
        value={text}
        placeholder={EXAMPLES[0]}
        autoFocus
        onInput={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && seen?.blueprint && !busy) void make()
        }}
      />
      {!text && <Examples use={setText} />}
      {seen && <Understood seen={seen} answers={answers} answer={setAnswers} />}
      {text && (
        <div class="row">
          <button class="main" type="button" disabled={!seen?.blueprint || busy} onClick={() => void make()}>
            Make and deploy
          </button>
          <span class="soft">Ctrl+Enter</span>
        </div>
      )}
    </section>
  )
}

function Examples({ use }: { use: (text: string) => void }) {
  return (
    <div class="examples">
      <span class="soft">For example</span>
      {EXAMPLES.map((example) => (
        <button key={example} class="quiet" type="button" onClick={() => use(example)}>
          {example}
        </button>
      ))}
    </div>
  )
}

interface UnderstoodProps {
  seen: Glimpse
  answers: Record<string, string>
  answer: (answers: Record<string, string>) => void
}

function Understood({ seen, answers, answer }: UnderstoodProps) {
  return (
    <div class="understood" aria-live="polite">
      <div>
        <h2>What I understood</h2>
        <p class="readback" data-testid="readback">
          {seen.explanation}
        </p>
        <ul class="notes">
          {seen.assumptions.map((text) => (
            <li class="assumed" key={text}>
              {text}
            </li>
          ))}
          {seen.not_understood.map((text) => (
            <li class="lost" key={text}>
              I did not understand “{text}”.
            </li>
          ))}
        </ul>
        {seen.questions.map((question) => (
          <label class="question" key={question.id}>
            {question.text}
            <input
              value={answers[question.id] ?? ''}
              onChange={(event) => answer({ ...answers, [question.id]: event.currentTarget.value })}
            />
          </label>
        ))}
      </div>
      {seen.blueprint && (
        <div>
          <h2>Blueprint</h2>
          <pre data-testid="blueprint">{seen.blueprint}</pre>
        </div>
      )}
    </div>
  )
}
