// Many clients withdraw from few accounts at once, through every door, while the program is killed again and again. Afterwards the log is read back:
// nobody was below zero at any position, nothing that was acknowledged is lost, nothing happened twice, and what each account's clients saw could have
// happened one after another (porcupine says so, or not).
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/twmb/franz-go/pkg/kgo"
)

// How long the checker looks for an order of one account's operations: the more of them overlap, the more orders there are.
const patience = time.Minute

var (
	path     = flag.String("program", os.Getenv("HEADWATER"), "the program under test")
	clients  = flag.Int("clients", 256, "clients at once")
	accounts = flag.Int("accounts", 10, "accounts")
	kills    = flag.Int("kills", 5, "how often the program is killed")
	between  = flag.Duration("between", 3*time.Second, "how long it runs between kills")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Println("FAILED ", err)
		os.Exit(1)
	}
}

func run() error {
	folder, err := os.MkdirTemp("", "races")
	if err != nil {
		return err
	}
	program, err := start(*path, "app.sql", folder)
	if err != nil {
		return err
	}
	defer program.end(syscall.SIGKILL)
	history := &history{began: time.Now()}
	race, end := context.WithCancel(context.Background())
	var racing sync.WaitGroup
	for _, client := range gathered(program, history) {
		racing.Add(1)
		go func() {
			defer racing.Done()
			client.run(race)
			if client.kafka != nil {
				client.kafka.Close()
			}
		}()
	}
	for kill := range *kills {
		time.Sleep(*between)
		if err := program.kill("app.sql"); err != nil {
			end()
			return err
		}
		fmt.Printf("killed %d times, %d operations\n", kill+1, history.count())
	}
	time.Sleep(*between)
	end()
	racing.Wait()
	seconds := time.Since(history.began).Seconds()
	ledger, err := readBack(program)
	if err != nil {
		return err
	}
	program.end(syscall.SIGTERM)
	if err := judge(ledger, history.operations, seconds); err != nil {
		return fmt.Errorf("%w (the data is kept in %s)", err, folder)
	}
	return os.RemoveAll(folder)
}

// The clients: as many over each of the three doors as over the others, and a few who deposit.
func gathered(program *program, history *history) []*client {
	var names []string
	for number := range *accounts {
		names = append(names, fmt.Sprintf("account-%d", number))
	}
	transport := &http.Transport{MaxIdleConnsPerHost: *clients, MaxConnsPerHost: *clients}
	shared := &http.Client{Transport: transport, Timeout: answerWithin}
	kinds := []string{"command", "http", "kafka"}
	var all []*client
	for number := range *clients {
		door := kinds[number%len(kinds)]
		if number%16 == 15 {
			door = "deposit"
		}
		client := &client{number: number, door: door, program: program, accounts: names, history: history, http: shared}
		if door == "kafka" || door == "deposit" {
			made, err := kgo.NewClient(kgo.SeedBrokers(program.kafka), kgo.ProducerLinger(0), kgo.RecordDeliveryTimeout(answerWithin))
			if err != nil {
				panic(err)
			}
			client.kafka = made
		}
		all = append(all, client)
	}
	return all
}

// Everything in the ledger, in the order in which it was appended.
func readBack(program *program) ([]entry, error) {
	reader := &client{program: program, http: &http.Client{Timeout: answerWithin}}
	var ledger []entry
	for from := "beginning"; ; {
		status, body, _ := reader.get("/streams/ledger/events?limit=10000&from="+from, nil)
		var page struct {
			Events []entry `json:"events"`
			Next   string  `json:"next"`
		}
		if status != http.StatusOK {
			return nil, fmt.Errorf("the ledger could not be read from %s: %d %s", from, status, body)
		}
		if err := json.Unmarshal(body, &page); err != nil {
			return nil, err
		}
		if len(page.Events) == 0 {
			return ledger, nil
		}
		ledger, from = append(ledger, page.Events...), page.Next
	}
}

// Says what was seen, and what was wrong with it.
func judge(ledger []entry, operations []operation, seconds float64) error {
	counts := map[string]int{}
	perAccount := map[string][]operation{}
	for _, o := range resolved(operations, versionsOf(ledger)) {
		perAccount[o.account] = append(perAccount[o.account], o)
	}
	for _, o := range operations {
		counts[fmt.Sprintf("%s %s", o.door, [...]string{"appended", "outrun", "read", "unanswered"}[o.outcome])]++
	}
	for _, door := range []string{"command", "http", "kafka", "deposit"} {
		fmt.Printf("%-8s %d appended, %d outrun, %d unanswered, %d versions read\n", door,
			counts[door+" appended"], counts[door+" outrun"], counts[door+" unanswered"], counts[door+" read"])
		if counts[door+" appended"] == 0 {
			return fmt.Errorf("nobody got anything appended over %s: nothing was tried", door)
		}
	}
	fmt.Printf("%d events in %.0f s\n", len(ledger), seconds)
	if found := wrong(ledger, operations); len(found) > 0 {
		for _, what := range found[:min(len(found), 20)] {
			fmt.Println("  ", what)
		}
		return fmt.Errorf("%d things are wrong with the ledger", len(found))
	}
	for account, own := range perAccount {
		result := linearizable(own, patience)
		if result == porcupine.Unknown {
			return fmt.Errorf("whether the %d operations on %s could have happened one after another was not found out within %s: ask with fewer clients", len(own), account, patience)
		}
		if result != porcupine.Ok {
			return fmt.Errorf("the %d operations on %s could not have happened one after another (%s) %s", len(own), account, result, contradiction(own))
		}
	}
	fmt.Printf("ok      nobody below zero, nothing lost or doubled, %d accounts linearizable\n", len(perAccount))
	return nil
}

func (h *history) count() int {
	h.mutex.Lock()
	defer h.mutex.Unlock()
	return len(h.operations)
}
