-- A user name is one account's. One that an account gave up is free again after three days.

-- To change one's name is two facts, appended together: one name is left, another is taken.
CREATE STREAM accounts (
  kind      TEXT NOT NULL,
  user_name TEXT NOT NULL
) KEY (user_name) KIND (kind);

-- The last word on each name.
CREATE MATERIALIZED VIEW user_names STORED AS document AS
SELECT user_name,
       max(named_struct('at', _appended_at, 'nth', _offset, 'is_taken', kind IN ('account_registered', 'name_taken'))) AS latest
FROM accounts
GROUP BY user_name;

-- Every name that is somebody's, or was until three days ago.
CREATE VIEW claimed AS
SELECT user_name
FROM user_names
WHERE latest['is_taken'] OR latest['at'] >= now() - INTERVAL '3 days';

CREATE COMMAND register (user_name TEXT)
INTO accounts
REQUIRE NOT EXISTS (SELECT 1 FROM claimed c WHERE c.user_name = lower(register.user_name)) ELSE 'the name is claimed' CODE 'name_claimed'
AS SELECT 'account_registered' AS kind, lower(user_name) AS user_name;

CREATE COMMAND close_account (user_name TEXT)
INTO accounts
REQUIRE (SELECT u.latest['is_taken'] FROM user_names u WHERE u.user_name = lower(close_account.user_name)) ELSE 'there is no such account' CODE 'no_such_account'
AS SELECT 'account_closed' AS kind, lower(user_name) AS user_name;

CREATE COMMAND change_name (old_name TEXT, new_name TEXT)
INTO accounts
REQUIRE (SELECT u.latest['is_taken'] FROM user_names u WHERE u.user_name = lower(change_name.old_name)) ELSE 'there is no such account' CODE 'no_such_account'
REQUIRE NOT EXISTS (SELECT 1 FROM claimed c WHERE c.user_name = lower(change_name.new_name)) ELSE 'the name is claimed' CODE 'name_claimed'
AS VALUES ('name_left', lower(old_name)), ('name_taken', lower(new_name));
