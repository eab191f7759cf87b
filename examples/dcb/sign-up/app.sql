-- An address is confirmed with the token that was sent there: once, within an hour.

CREATE STREAM sign_ups (
  kind  TEXT NOT NULL,
  email TEXT NOT NULL,
  token TEXT NOT NULL,
  name  TEXT NOT NULL
) KEY (email) KIND (kind) TAGS (token);

CREATE MATERIALIZED VIEW pending STORED AS document AS
SELECT email, token,
       max(name) AS name,
       min(_appended_at) AS began_at,
       count(*) FILTER (WHERE kind = 'confirmed') AS confirmed
FROM sign_ups
GROUP BY email, token;

-- The token comes from the service that sends it.
CREATE COMMAND sign_up (email TEXT, token TEXT, name TEXT)
INTO sign_ups
REQUIRE NOT EXISTS (SELECT 1 FROM pending p WHERE p.email = sign_up.email AND p.token = sign_up.token) ELSE 'the token was given out before' CODE 'token_known'
AS SELECT 'initiated' AS kind, email, token, name;

CREATE COMMAND confirm (email TEXT, token TEXT)
INTO sign_ups
REQUIRE EXISTS (SELECT 1 FROM pending p WHERE p.email = confirm.email AND p.token = confirm.token) ELSE 'no sign-up waits for this token and address' CODE 'no_such_sign_up'
REQUIRE (SELECT p.confirmed = 0 FROM pending p WHERE p.email = confirm.email AND p.token = confirm.token) ELSE 'the token was used already' CODE 'token_used'
REQUIRE (SELECT p.began_at >= now() - INTERVAL '60 minutes' FROM pending p WHERE p.email = confirm.email AND p.token = confirm.token)
  ELSE 'the token has expired' CODE 'token_expired'
AS SELECT 'confirmed' AS kind, p.email, p.token, p.name FROM pending p WHERE p.email = confirm.email AND p.token = confirm.token;
