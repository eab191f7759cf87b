package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"time"
)

// Headwater over HTTP. The client writes each request with one call and reads its answer by Content-Length, without a library, which would take more
// processor time than the server: the two share the machine.
type headwater struct {
	address string
	running *server
}

func startHeadwater(path, folder string) (peer, error) {
	address := freeAddress()
	running, err := launch(folder, nil, path, "run", "app.sql", "--data", folder+"/data", "--http", address, "--kafka", "none", "--postgres", "none")
	if err != nil {
		return nil, err
	}
	return &headwater{address, running}, answers(address, 30*time.Second)
}

func (h *headwater) name() string    { return "Headwater" }
func (h *headwater) server() *server { return h.running }

func (h *headwater) connect() (connection, error) {
	socket, err := net.Dial("tcp", h.address)
	if err != nil {
		return nil, err
	}
	return &httpConnection{socket: socket, answers: bufio.NewReaderSize(socket, 64*1024), versions: map[string]string{}}, nil
}

func (h *headwater) fill(accounts []string, events int) error {
	made, err := h.connect()
	if err != nil {
		return err
	}
	connection := made.(*httpConnection)
	defer connection.close()
	var body bytes.Buffer
	send := func() error {
		if body.Len() == 0 {
			return nil
		}
		status, _, answer, err := connection.ask("POST", "/streams/ledger/events", "Content-Type: application/x-ndjson\r\n", body.String())
		body.Reset()
		if err == nil && status != 200 {
			err = fmt.Errorf("%d %s", status, answer)
		}
		return err
	}
	for range events {
		for _, account := range accounts {
			fmt.Fprintf(&body, deposit+"\n", account)
			if body.Len() > 500_000 {
				if err := send(); err != nil {
					return err
				}
			}
		}
	}
	if err := send(); err != nil {
		return err
	}
	// What follows is measured once the views have it, as anybody's balance is asked for.
	status, _, answer, err := connection.ask("GET", "/views/balances/"+accounts[len(accounts)-1], "", "")
	for ; err == nil && status != 200; status, _, answer, err = connection.ask("GET", "/views/balances/"+accounts[len(accounts)-1], "", "") {
		time.Sleep(50 * time.Millisecond)
	}
	_ = answer
	return err
}

type httpConnection struct {
	socket   net.Conn
	answers  *bufio.Reader
	versions map[string]string
	request  []byte
	body     []byte
}

func (c *httpConnection) append(account string) error {
	condition := "If-None-Match: *\r\n"
	if version, known := c.versions[account]; known {
		condition = "If-Match: \"" + version + "\"\r\n"
	}
	status, tag, answer, err := c.ask("POST", "/streams/ledger/events", json+condition, `{"account":"`+account+`","kind":"deposit","amount":1000000.00}`)
	if err != nil || status != 200 {
		return fmt.Errorf("%d %s %v", status, answer, err)
	}
	c.versions[account] = tag
	return nil
}

func (c *httpConnection) read(account string) (int, error) {
	status, _, answer, err := c.ask("GET", "/streams/ledger/entities/"+account, "", "")
	if err != nil || status != 200 {
		return 0, fmt.Errorf("%d %s %v", status, answer, err)
	}
	return bytes.Count(answer, []byte(`"offset":`)), nil
}

func (c *httpConnection) withdraw(account string) error {
	status, _, answer, err := c.ask("POST", "/commands/withdraw", json, `{"account":"`+account+`","amount":0.01}`)
	if err != nil || status != 200 {
		return fmt.Errorf("%d %s %v", status, answer, err)
	}
	return nil
}

func (c *httpConnection) close() { _ = c.socket.Close() }

const json = "Content-Type: application/json\r\n"

// One request and its answer: the status, the ETag without its quotes, and the body, which holds until the next.
func (c *httpConnection) ask(method, path, headers, body string) (int, string, []byte, error) {
	request := c.request[:0]
	for _, part := range [...]string{method, " ", path, " HTTP/1.1\r\nHost: localhost\r\n", headers} {
		request = append(request, part...)
	}
	if method != "GET" {
		request = append(request, "Content-Length: "...)
		request = append(strconv.AppendInt(request, int64(len(body)), 10), "\r\n"...)
	}
	request = append(append(request, "\r\n"...), body...)
	c.request = request
	if _, err := c.socket.Write(request); err != nil {
		return 0, "", nil, err
	}
	line, err := c.answers.ReadSlice('\n')
	if err != nil || len(line) < 12 {
		return 0, "", nil, fmt.Errorf("no answer: %q %v", line, err)
	}
	status := number(line[9:12])
	length, tag := 0, ""
	for {
		line, err := c.answers.ReadSlice('\n')
		if err != nil {
			return 0, "", nil, err
		}
		if len(line) <= 2 {
			break
		}
		// The names are in small letters, as the server writes them.
		if value, is := bytes.CutPrefix(line, []byte("content-length: ")); is {
			length = number(value)
		} else if value, is := bytes.CutPrefix(line, []byte("etag: ")); is {
			tag = string(bytes.Trim(value, "\"\r\n"))
		} else if bytes.HasPrefix(line, []byte("transfer-encoding: ")) {
			return 0, "", nil, fmt.Errorf("an answer in chunks is not read here")
		}
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.answers, c.body)
	return status, tag, c.body, err
}

// The number that some bytes begin with.
func number(text []byte) int {
	found := 0
	for _, digit := range text {
		if digit < '0' || digit > '9' {
			break
		}
		found = found*10 + int(digit-'0')
	}
	return found
}

func pathOf(name string) (string, error) {
	if path := os.Getenv(name); path != "" {
		return path, nil
	}
	return "", fmt.Errorf("%s names no program", name)
}
