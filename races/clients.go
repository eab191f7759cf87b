package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	amount = "7.00"
	// Longer than a start of the program takes.
	answerWithin = 20 * time.Second
)

// Somebody who wants money, over one of the doors, again and again.
type client struct {
	number   int
	door     string
	program  *program
	accounts []string
	history  *history
	http     *http.Client
	kafka    *kgo.Client
	made     int
}

// The three ways to withdraw, and the plain append that deposits.
var doors = map[string]func(*client, context.Context, string, string){
	"command": (*client).command,
	"http":    (*client).conditional,
	"kafka":   (*client).headers,
	"deposit": (*client).deposit,
}

func (c *client) run(race context.Context) {
	for race.Err() == nil {
		c.made++
		account := c.accounts[rand.IntN(len(c.accounts))]
		doors[c.door](c, race, account, fmt.Sprintf("%s-%d-%d", c.door, c.number, c.made))
	}
}

// A command decides in the program. It is tried until it is answered: the key keeps it from being done twice.
func (c *client) command(race context.Context, account, request string) {
	o := operation{client: c.number, account: account, request: request, door: c.door, call: c.history.now(), outcome: unknown}
	defer func() { c.note(o) }()
	body := fmt.Sprintf(`{"account":%q,"amount":%s,"request":%q}`, account, amount, request)
	for until := time.Now().Add(answerWithin); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		status, answer, _ := c.post("/commands/withdraw", body, map[string]string{"Idempotency-Key": request})
		switch status {
		case http.StatusOK:
			o.version, o.outcome, o.answered = address(answer), appended, c.history.now()
			return
		case http.StatusUnprocessableEntity:
			o.request = "" // Refused: nothing happened.
			return
		}
	}
}

// A service decides: it reads the version, then the balance as of that version or later, and appends if nothing came since the version.
func (c *client) conditional(race context.Context, account, request string) {
	version, ok := c.decide(account)
	if !ok {
		return
	}
	o := operation{client: c.number, account: account, request: request, door: c.door, expected: version, call: c.history.now(), outcome: unknown}
	status, answer, _ := c.post("/streams/ledger/events", event(account, "withdrawal", request), map[string]string{"If-Match": `"` + version + `"`})
	switch status {
	case http.StatusOK:
		o.version, o.outcome, o.answered = address(answer), appended, c.history.now()
	case http.StatusPreconditionFailed:
		o.outcome, o.answered = outrun, c.history.now()
	}
	c.note(o)
}

// The same with the condition in a Kafka record's header.
func (c *client) headers(race context.Context, account, request string) {
	version, ok := c.decide(account)
	if !ok {
		return
	}
	o := operation{client: c.number, account: account, request: request, door: c.door, expected: version, call: c.history.now(), outcome: unknown}
	c.produce(&o, event(account, "withdrawal", request), kgo.RecordHeader{Key: "headwater-if-version", Value: []byte(version)})
	c.note(o)
}

// Any Kafka client that knows nothing of conditions. What it writes counts all the same.
func (c *client) deposit(race context.Context, account, request string) {
	o := operation{client: c.number, account: account, request: request, door: c.door, call: c.history.now(), outcome: unknown}
	c.produce(&o, event(account, "deposit", request))
	c.note(o)
	select {
	case <-race.Done():
	case <-time.After(time.Duration(rand.IntN(40)) * time.Millisecond):
	}
}

func (c *client) produce(o *operation, value string, headers ...kgo.RecordHeader) {
	patience, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	record := &kgo.Record{Topic: "ledger", Key: []byte(o.account), Value: []byte(value), Headers: headers}
	sent, err := c.kafka.ProduceSync(patience, record).First()
	switch {
	case err == nil:
		o.version, o.outcome, o.answered = fmt.Sprintf("%d@%d", sent.Partition, sent.Offset), appended, c.history.now()
	case errors.Is(err, kerr.InvalidRecord):
		o.outcome, o.answered = outrun, c.history.now()
	}
}

// The version on which a withdrawal may rest, where there is enough money.
func (c *client) decide(account string) (string, bool) {
	o := operation{client: c.number, account: account, door: c.door, call: c.history.now(), outcome: read}
	status, body, header := c.get("/streams/ledger/entities/"+account+"?limit=1&order=desc", nil)
	if status != http.StatusOK {
		return "", false
	}
	o.version, o.answered = unquoted(header.Get("ETag")), c.history.now()
	c.note(o)
	var page struct {
		Events []entry `json:"events"`
	}
	if json.Unmarshal(body, &page) != nil || len(page.Events) == 0 {
		return "", false
	}
	last := page.Events[0]
	after := fmt.Sprintf("ledger/%d@%d", last.Partition, last.Offset+1)
	status, body, _ = c.get("/views/balances/"+account, map[string]string{"Headwater-After": after})
	var row struct {
		Balance float64 `json:"balance"`
	}
	if status != http.StatusOK || json.Unmarshal(body, &row) != nil {
		return "", false
	}
	return o.version, row.Balance >= 7
}

// What was asked and never answered is of no interest where nothing was to be appended.
func (c *client) note(o operation) {
	if o.outcome == unknown && o.request == "" {
		return
	}
	c.history.add(o)
}

func (c *client) post(path, body string, headers map[string]string) (int, []byte, http.Header) {
	return c.ask(http.MethodPost, path, body, headers)
}

func (c *client) get(path string, headers map[string]string) (int, []byte, http.Header) {
	return c.ask(http.MethodGet, path, "", headers)
}

func (c *client) ask(method, path, body string, headers map[string]string) (int, []byte, http.Header) {
	request, err := http.NewRequest(method, "http://"+c.program.http+path, bytes.NewBufferString(body))
	if err != nil {
		return 0, nil, nil
	}
	request.Header.Set("Content-Type", "application/json")
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	response, err := c.http.Do(request)
	if err != nil {
		time.Sleep(20 * time.Millisecond)
		return 0, nil, nil
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, nil, nil
	}
	return response.StatusCode, answer, response.Header
}

func event(account, kind, request string) string {
	return fmt.Sprintf(`{"account":%q,"kind":%q,"amount":%s,"request":%q}`, account, kind, amount, request)
}

// Where the one event of an answer stands.
func address(answer []byte) string {
	var done struct {
		Events []struct {
			Partition int   `json:"partition"`
			Offset    int64 `json:"offset"`
		} `json:"events"`
	}
	if json.Unmarshal(answer, &done) != nil || len(done.Events) != 1 {
		return "an answer without an event: " + string(answer)
	}
	return fmt.Sprintf("%d@%d", done.Events[0].Partition, done.Events[0].Offset)
}

func unquoted(tag string) string {
	if len(tag) >= 2 {
		return tag[1 : len(tag)-1]
	}
	return tag
}
