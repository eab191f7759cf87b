package main

import (
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// Whether somebody else was faster: the version is taken.
func isConflict(err error) bool {
	var refused *pgconn.PgError
	return errors.As(err, &refused) && refused.Code == "23505"
}
