-- No address, no cookie, no identifier: a page, a day and a number.
CREATE TABLE visits (
  day DATE NOT NULL,
  page VARCHAR(200) NOT NULL,
  hits INT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (day, page)
) ENGINE=InnoDB;
