/** A question with its answers; `right` is the index of the right one. */
export type Question = { text: string; answers: string[]; right: number };

export const QUESTIONS: Question[] = [
  { text: 'Ab welchem Alter darf man in Österreich den Nationalrat wählen?', answers: ['16 Jahre', '18 Jahre', '21 Jahre'], right: 0 },
  { text: 'Wie viele Abgeordnete hat der Nationalrat?', answers: ['99', '183', '500'], right: 1 },
  { text: 'Wann wurde die Allgemeine Erklärung der Menschenrechte beschlossen?', answers: ['1918', '1945', '1948'], right: 2 },
];

/** Points for a round: ten for each right answer. */
export function points(questions: Question[], given: readonly (number | null)[]): number {
  return questions.reduce((sum, question, at) => sum + (given[at] === question.right ? 10 : 0), 0);
}

/** The achievement that a round earns, or none. */
export function achievement(reached: number, possible: number): 'all-right' | 'half-right' | null {
  if (possible > 0 && reached === possible) return 'all-right';
  return possible > 0 && reached * 2 >= possible ? 'half-right' : null;
}
