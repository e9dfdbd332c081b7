ALTER TABLE civicrm_contribution ADD COLUMN trxn_id CHAR(16) NULL UNIQUE;
ALTER TABLE civicrm_contribution ADD COLUMN source VARCHAR(255) NULL;
