import { describe, expect, it } from 'vitest';
import { achievement, points, QUESTIONS } from './quiz';

describe('a round', () => {
  it('gives ten points for each right answer', () => {
    expect(points(QUESTIONS, QUESTIONS.map((q) => q.right))).toBe(QUESTIONS.length * 10);
    expect(points(QUESTIONS, [QUESTIONS[0]!.right, null])).toBe(10);
    expect(points(QUESTIONS, [])).toBe(0);
  });

  it('earns an achievement from half of the points', () => {
    expect(achievement(30, 30)).toBe('all-right');
    expect(achievement(20, 30)).toBe('half-right');
    expect(achievement(10, 30)).toBeNull();
    expect(achievement(0, 0)).toBeNull();
  });

  it('has a right answer for every question', () => {
    for (const question of QUESTIONS) expect(question.answers[question.right]).toBeTypeOf('string');
  });
});
