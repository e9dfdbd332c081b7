import { type FormEvent, type ReactNode, useEffect, useState } from 'react';
import { ask } from './api';

type Answer = { detail: string };
type Field = { name: string; label: string; type?: string; autoComplete?: string; minLength?: number; maxLength: number; defaultValue?: string };

const EMAIL: Field = { name: 'email', label: 'E-Mail-Adresse', type: 'email', autoComplete: 'email', maxLength: 254 };

/** A form that says what became of it. `send` gives the good news, or throws the bad. */
export function Form({ fields, button, send, children }: { fields: Field[]; button: string; send: (values: Record<string, string>) => Promise<string>; children?: ReactNode }) {
  const [good, setGood] = useState('');
  const [bad, setBad] = useState('');
  const [busy, setBusy] = useState(false);
  const submit = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>;
    setBusy(true);
    try {
      setBad('');
      setGood(await send(values));
    } catch (error) {
      setGood('');
      setBad((error as Error).message);
    }
    setBusy(false);
  };
  return (
    <>
      {good && <p role="status">{good}</p>}
      {bad && <p role="alert">{bad}</p>}
      <form onSubmit={submit}>
        {fields.map(({ name, label, ...more }) => (
          <p key={name}>
            <label htmlFor={name}>{label}</label>
            <input id={name} name={name} required {...more} />
          </p>
        ))}
        {children}
        <button disabled={busy}>{button}</button>
      </form>
    </>
  );
}

export function Register() {
  const fields: Field[] = [
    { name: 'name', label: 'Name', autoComplete: 'name', maxLength: 100 },
    EMAIL,
    { name: 'password', label: 'Passwort (mindestens 12 Zeichen)', type: 'password', autoComplete: 'new-password', minLength: 12, maxLength: 200 },
  ];
  return <Form fields={fields} button="Registrieren" send={async (values) => (await ask<Answer>('POST', '/register', values)).detail} />;
}

export function Login({ enter }: { enter: (token: string) => void }) {
  const fields: Field[] = [EMAIL, { name: 'password', label: 'Passwort', type: 'password', autoComplete: 'current-password', maxLength: 200 }];
  const send = async (values: Record<string, string>) => {
    enter((await ask<{ token: string }>('POST', '/login', values)).token);
    return 'Sie sind angemeldet.';
  };
  return <Form fields={fields} button="Anmelden" send={send} />;
}

export function Verify({ token }: { token: string }) {
  const [told, setTold] = useState('Einen Augenblick …');
  useEffect(() => {
    let current = true;
    ask<Answer>('POST', '/verify', { token }).then(
      (answer) => current && setTold(answer.detail),
      (error: Error) => current && setTold(error.message),
    );
    return () => {
      current = false;
    };
  }, [token]);
  return (
    <>
      <p role="status">{told}</p>
      <p><a href="#/login">Zur Anmeldung</a></p>
    </>
  );
}
