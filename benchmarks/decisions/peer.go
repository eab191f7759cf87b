package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// What is measured, and what it is measured against.
type peer interface {
	name() string
	// A connection of its own for one client.
	connect() (connection, error)
	// Deposits one event for each of these accounts, and so many more for each.
	fill(accounts []string, events int) error
	server() *server
}

// What one client does, one after another.
type connection interface {
	// Appends one event to an account on the condition that nothing came since this client's last one.
	append(account string) error
	// Reads all events of an account; how many there were.
	read(account string) (int, error)
	// Takes a little from an account if there is enough: the decision and the event are one step.
	withdraw(account string) error
	close()
}

const (
	deposit    = `{"account":%q,"kind":"deposit","amount":1000000.00}`
	withdrawal = `{"account":%q,"kind":"withdrawal","amount":0.01}`
)

// A program that was started for the measurement.
type server struct {
	command *exec.Cmd
	folder  string
}

func launch(folder string, credential *syscall.Credential, path string, arguments ...string) (*server, error) {
	log, err := os.Create(filepath.Join(folder, filepath.Base(path)+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	command := exec.Command(path, arguments...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Credential: credential, Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	return &server{command: command, folder: folder}, nil
}

func (s *server) stop() {
	_ = s.command.Process.Signal(syscall.SIGINT)
	ended := make(chan struct{})
	go func() { _ = s.command.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		_ = syscall.Kill(-s.command.Process.Pid, syscall.SIGKILL)
		<-ended
	}
	_ = os.RemoveAll(s.folder)
}

// The processor time that the program and its children have taken, from /proc.
func (s *server) processorTime() time.Duration {
	var total int64
	processes, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range processes {
		text, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		// What stands behind the name in parentheses: state, parent, …; user and system time are the 14th and 15th field of the line.
		end := strings.LastIndexByte(string(text), ')')
		fields := strings.Fields(string(text[end+1:]))
		process, _ := strconv.Atoi(strings.Fields(string(text))[0])
		parent, _ := strconv.Atoi(fields[1])
		if process != s.command.Process.Pid && parent != s.command.Process.Pid {
			continue
		}
		user, _ := strconv.ParseInt(fields[11], 10, 64)
		system, _ := strconv.ParseInt(fields[12], 10, 64)
		total += user + system
	}
	const ticks = 100 // a second: USER_HZ on Linux
	return time.Duration(total) * time.Second / ticks
}

func freeAddress() string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Waits until something listens.
func answers(address string, patience time.Duration) error {
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if connection, err := net.Dial("tcp", address); err == nil {
			return connection.Close()
		}
	}
	return fmt.Errorf("nobody listens on %s", address)
}
