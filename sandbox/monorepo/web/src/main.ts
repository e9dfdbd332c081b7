import { achievement, points, QUESTIONS } from './quiz.js';

const form = document.querySelector<HTMLFormElement>('#quiz')!;
const result = document.querySelector<HTMLElement>('#result')!;
const names = { 'all-right': 'Alles gewusst', 'half-right': 'Gut dabei' };

QUESTIONS.forEach((question, at) => {
  const group = document.createElement('fieldset');
  const legend = document.createElement('legend');
  legend.textContent = question.text;
  group.append(legend);
  question.answers.forEach((answer, index) => {
    const label = document.createElement('label');
    const choice = Object.assign(document.createElement('input'), { type: 'radio', name: `q${at}`, value: String(index), required: true });
    label.append(choice, answer);
    group.append(label);
  });
  form.querySelector('#questions')!.append(group);
});

form.addEventListener('submit', async (event) => {
  event.preventDefault();
  const data = new FormData(form);
  const given = QUESTIONS.map((_, at) => (data.has(`q${at}`) ? Number(data.get(`q${at}`)) : null));
  const reached = points(QUESTIONS, given);
  const earned = achievement(reached, QUESTIONS.length * 10);
  const answer = await fetch('scores.php', {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ player: data.get('player'), points: reached, achievement: earned }),
  }).catch(() => null);
  const saved = answer?.ok ? '' : ' Das Ergebnis konnte nicht gespeichert werden.';
  result.textContent = `${reached} Punkte.${earned ? ` Auszeichnung: ${names[earned]}!` : ''}${saved}`;
});
