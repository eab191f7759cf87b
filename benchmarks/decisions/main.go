// Conditional appends, entities and decisions: Headwater, PostgreSQL and UmaDB in turn, in one run, by one client program.
package main

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

var (
	lasts    = flag.Duration("lasts", 3*time.Second, "how long each cell is measured")
	accounts = flag.Int("accounts", 100_000, "accounts that commands decide on")
	only     = flag.String("only", "", "one measurement: append, read, withdraw or hot")
	many     = flag.Int("clients", 0, "so many clients alone")
)

// One line of the table: what is done, and by how many at once.
type cell struct {
	key, what string
	clients   []int
	do        func(connection, int) error
}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "FAILED ", err)
		os.Exit(1)
	}
}

func run() error {
	var names []string
	for number := range *accounts {
		names = append(names, fmt.Sprintf("a%07d", number))
	}
	long := []string{}
	for number := range 1000 {
		long = append(long, fmt.Sprintf("twenty%04d", number))
	}
	cells := []cell{
		{"append", "append if nothing came since", []int{1, 64, 256}, func(c connection, client int) error {
			return c.append(fmt.Sprintf("own-%d-%d", client, rand.IntN(100)))
		}},
		{"read", "read an entity of 20 events", []int{1, 64}, func(c connection, client int) error {
			count, err := c.read(long[rand.IntN(len(long))])
			if err == nil && count != 20 {
				err = fmt.Errorf("%d of 20 events came", count)
			}
			return err
		}},
		{"withdraw", fmt.Sprintf("withdraw, %d accounts", *accounts), []int{1, 64, 256}, func(c connection, client int) error {
			return c.withdraw(names[rand.IntN(len(names))])
		}},
		{"hot", "withdraw, one account", []int{256}, func(c connection, client int) error { return c.withdraw("hot") }},
	}
	starts := []struct {
		variable string
		start    func(string, string) (peer, error)
	}{{"HEADWATER", startHeadwater}, {"POSTGRES", startPostgres}, {"UMADB", startUmadb}}
	disk, err := flushes(os.TempDir(), *lasts)
	if err != nil {
		return err
	}
	fmt.Printf("the disk: %.0f flushes of 4 KiB a second\n\n", disk)
	fmt.Println("| what | clients | program | a second | p50 | p99 | server's processor time for one | client's | × flushes |")
	fmt.Println("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
	for _, cell := range cells {
		if *only != "" && *only != cell.key {
			continue
		}
		for _, clients := range cell.clients {
			if *many != 0 && *many != clients {
				continue
			}
			for _, from := range starts {
				path, err := pathOf(from.variable)
				if err != nil {
					continue
				}
				found, err := one(path, from.start, cell, clients, names, long)
				if err != nil {
					return err
				}
				fmt.Printf("| %s | %d | %s | %.0f | %.2f ms | %.2f ms | %.1f µs | %.1f µs | %.2f |\n", cell.what, clients, found.name, found.perSecond,
					ms(found.p50), ms(found.p99), us(found.server), us(found.client), found.perSecond/disk)
			}
		}
	}
	disk, err = flushes(os.TempDir(), *lasts)
	fmt.Printf("\nthe disk afterwards: %.0f flushes of 4 KiB a second\n", disk)
	return err
}

type named struct {
	figure
	name string
}

// One cell of one program, which is started for it over an empty folder.
func one(path string, start func(string, string) (peer, error), cell cell, clients int, names, long []string) (named, error) {
	folder, err := os.MkdirTemp("", "decisions")
	if err != nil {
		return named{}, err
	}
	peer, err := start(path, folder)
	if peer != nil {
		defer peer.server().stop()
	}
	if err != nil {
		return named{}, err
	}
	switch cell.key {
	case "read":
		err = peer.fill(long, 20)
	case "withdraw":
		err = peer.fill(names, 1)
	case "hot":
		err = peer.fill([]string{"hot"}, 1)
	}
	if err != nil {
		return named{}, errors.Join(errors.New(peer.name()), err)
	}
	found, err := measure(peer, clients, *lasts, cell.do)
	return named{found, peer.name()}, err
}

func us(taken time.Duration) float64 { return float64(taken.Nanoseconds()) / 1e3 }

func ms(taken time.Duration) float64 { return float64(taken.Microseconds()) / 1e3 }
