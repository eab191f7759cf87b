package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"
)

// PostgreSQL with its own settings: an event is a row, unique by stream and version, and an append is one insert in one transaction.
type postgres struct {
	address string
	running *server
}

var background = context.Background()

func startPostgres(path, folder string) (peer, error) {
	// The server refuses to run as root.
	var credential *syscall.Credential
	if os.Getuid() == 0 {
		nobody, err := user.Lookup("nobody")
		if err != nil {
			return nil, err
		}
		uid, _ := strconv.ParseUint(nobody.Uid, 10, 32)
		gid, _ := strconv.ParseUint(nobody.Gid, 10, 32)
		credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
		if err := os.Chown(folder, int(uid), int(gid)); err != nil {
			return nil, err
		}
	}
	initdb := exec.Command(path+"/initdb", "-D", folder+"/data", "-U", "bench", "-A", "trust", "--no-sync")
	initdb.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	address := freeAddress()
	host, port, _ := net.SplitHostPort(address)
	running, err := launch(folder, credential, path+"/postgres", "-D", folder+"/data", "-h", host, "-p", port, "-k", folder, "-c", "max_connections=400")
	if err != nil {
		return nil, err
	}
	p := &postgres{address, running}
	if err := answers(address, 30*time.Second); err != nil {
		return p, err
	}
	for until := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		connection, err := p.dial()
		if err == nil {
			_, err = connection.Exec(background, "CREATE TABLE events (stream text, version bigint, data jsonb NOT NULL, PRIMARY KEY (stream, version))")
			_ = connection.Close(background)
		}
		if err == nil || time.Now().After(until) {
			return p, err
		}
	}
}

func (p *postgres) name() string    { return "PostgreSQL" }
func (p *postgres) server() *server { return p.running }

func (p *postgres) dial() (*pgx.Conn, error) {
	return pgx.Connect(background, "postgres://bench@"+p.address+"/postgres?sslmode=disable")
}

func (p *postgres) connect() (connection, error) {
	made, err := p.dial()
	return &row{made, map[string]int64{}}, err
}

func (p *postgres) fill(accounts []string, events int) error {
	connection, err := p.dial()
	if err != nil {
		return err
	}
	defer connection.Close(background)
	for version := range events {
		rows := pgx.CopyFromSlice(len(accounts), func(index int) ([]any, error) {
			return []any{accounts[index], int64(version), fmt.Sprintf(deposit, accounts[index])}, nil
		})
		if _, err := connection.CopyFrom(background, pgx.Identifier{"events"}, []string{"stream", "version", "data"}, rows); err != nil {
			return err
		}
	}
	_, err = connection.Exec(background, "ANALYZE events")
	return err
}

type row struct {
	*pgx.Conn
	versions map[string]int64
}

const insert = "INSERT INTO events (stream, version, data) VALUES ($1, $2, $3)"

func (r *row) append(account string) error {
	_, err := r.Exec(background, insert, account, r.versions[account], fmt.Sprintf(deposit, account))
	r.versions[account]++
	return err
}

func (r *row) read(account string) (int, error) {
	rows, err := r.Query(background, "SELECT version, data FROM events WHERE stream = $1 ORDER BY version", account)
	if err != nil {
		return 0, err
	}
	count := 0
	for rows.Next() {
		count++
	}
	return count, rows.Err()
}

// Reads the stream and appends to it in one transaction; the unique version is what keeps two from deciding on the same state.
func (r *row) withdraw(account string) error {
	for {
		transaction, err := r.Begin(background)
		if err != nil {
			return err
		}
		var version int64
		var balance float64
		err = transaction.QueryRow(background, `SELECT count(*), sum(CASE data->>'kind' WHEN 'deposit' THEN 1 ELSE -1 END * (data->>'amount')::numeric)::float8
			FROM events WHERE stream = $1`, account).Scan(&version, &balance)
		if err == nil && balance >= 0.01 {
			_, err = transaction.Exec(background, insert, account, version, fmt.Sprintf(withdrawal, account))
		}
		if err == nil {
			err = transaction.Commit(background)
		}
		if err == nil {
			return nil
		}
		_ = transaction.Rollback(background)
		if !isConflict(err) {
			return err
		}
	}
}

func (r *row) close() { _ = r.Close(background) }
