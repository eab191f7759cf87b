package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The program under test: started once, then killed and started again at the same addresses over the same data.
type program struct {
	path, folder string
	http, kafka  string
	mutex        sync.Mutex
	running      *exec.Cmd
}

func start(path, application, folder string) (*program, error) {
	p := &program{path: path, folder: folder, http: "127.0.0.1:0", kafka: "127.0.0.1:0"}
	return p, p.run(application)
}

func (p *program) run(application string) error {
	log, err := os.OpenFile(filepath.Join(p.folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(p.path, "run", application, "--data", filepath.Join(p.folder, "data"),
		"--http", p.http, "--kafka", p.kafka, "--postgres", "none")
	command.Stderr = log
	out, err := command.StdoutPipe()
	if err != nil {
		return err
	}
	if err := command.Start(); err != nil {
		return err
	}
	lines := bufio.NewScanner(out)
	found := map[string]string{}
	for (found["http"] == "" || found["kafka"] == "") && lines.Scan() {
		if door, address, ok := strings.Cut(lines.Text(), " "); ok && (door == "http" || door == "kafka") {
			found[door] = strings.TrimPrefix(address, "http://")
		}
	}
	if found["http"] == "" || found["kafka"] == "" {
		_ = command.Process.Kill()
		_ = command.Wait()
		return fmt.Errorf("the program did not start; %s says why", filepath.Join(p.folder, "log"))
	}
	go func() {
		for lines.Scan() {
		}
	}()
	p.http, p.kafka = found["http"], found["kafka"]
	p.mutex.Lock()
	p.running = command
	p.mutex.Unlock()
	return nil
}

// Kills it without a warning, and starts it again.
func (p *program) kill(application string) error {
	p.end(syscall.SIGKILL)
	return p.run(application)
}

func (p *program) end(signal syscall.Signal) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if p.running == nil {
		return
	}
	_ = p.running.Process.Signal(signal)
	_ = p.running.Wait()
	p.running = nil
	time.Sleep(10 * time.Millisecond)
}
