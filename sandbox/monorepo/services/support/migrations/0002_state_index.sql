CREATE INDEX tickets_state ON tickets (state, opened_at);
