// Package check runs the checks of a client program and says how each one went.
package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Check is one thing that a client must be able to do.
type Check struct {
	Name string
	Run  func(ctx context.Context) error
}

const (
	timeoutOfCheck = 40 * time.Second
	timeoutOfRetry = 20 * time.Second
	pauseOfRetry   = 100 * time.Millisecond
)

// Run runs the checks in order and reports whether all of them passed.
func Run(checks []Check) bool {
	passed := true
	for _, check := range checks {
		if err := runOne(check); err != nil {
			passed = false
			fmt.Printf("not ok %s: %s\n", check.Name, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Printf("ok %s\n", check.Name)
	}
	return passed
}

func runOne(check Check) error {
	ctx, cancel := context.WithTimeout(context.Background(), timeoutOfCheck)
	defer cancel()
	return check.Run(ctx)
}

// RestartServer has the server killed and started again, and returns when it listens.
func RestartServer() error {
	fmt.Println("restart?")
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	if err != nil {
		return fmt.Errorf("waiting for the restart: %w", err)
	}
	if strings.TrimSpace(answer) != "restarted" {
		return fmt.Errorf("asked for a restart, answered %q", answer)
	}
	return nil
}

// Retry makes a call again for as long as it says that the server is not
// available. The call must be safe to repeat.
func Retry(ctx context.Context, isUnavailable func(error) bool, call func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, timeoutOfRetry)
	defer cancel()
	for {
		err := call(ctx)
		if err == nil || !isUnavailable(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(pauseOfRetry):
		}
	}
}
