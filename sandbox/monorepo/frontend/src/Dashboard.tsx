import { useEffect, useState } from 'react';
import { ask, type Profile } from './api';
import { Form } from './forms';

/** The member's own page: the profile, and the way out. */
export function Dashboard({ token, leave }: { token: string; leave: () => void }) {
  const [profile, setProfile] = useState<Profile>();
  const [bad, setBad] = useState('');
  useEffect(() => {
    ask<Profile>('GET', '/profile', undefined, token).then(setProfile, (error: Error) => setBad(error.message));
  }, [token]);

  const save = async (values: Record<string, string>) => {
    setProfile(await ask<Profile>('PATCH', '/profile', values, token));
    return 'Ihr Profil ist gespeichert.';
  };
  return (
    <>
      {bad && <p role="alert">{bad}</p>}
      {profile && (
        <>
          <p>Angemeldet als <strong>{profile.name}</strong> ({profile.email}).</p>
          <h2>Profil</h2>
          <Form fields={[{ name: 'name', label: 'Name', autoComplete: 'name', maxLength: 100, defaultValue: profile.name }]} button="Speichern" send={save}>
            <label htmlFor="bio">Über mich</label>
            <textarea id="bio" name="bio" rows={4} maxLength={500} defaultValue={profile.bio} />
          </Form>
        </>
      )}
      <button type="button" onClick={leave}>Abmelden</button>
    </>
  );
}
