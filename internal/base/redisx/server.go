package redisx

import (
	"crypto/rand"
	"fmt"
	"time"

	"github.com/alicebob/miniredis/v2"
)

// tick is how often the clock of the server inside is moved. Locks and leases
// in it end at most this much late.
const tick = 200 * time.Millisecond

// server is a Redis inside this process. It listens on a loopback port of its
// own, since clients speak to it as to any other, and asks for a password that
// only this process knows, since others on this machine can reach that port.
type server struct {
	redis    *miniredis.Miniredis
	password string
	quit     chan struct{}
	done     chan struct{}
}

func startServer() (*server, error) {
	s := &server{redis: miniredis.NewMiniRedis(), password: rand.Text(), quit: make(chan struct{}), done: make(chan struct{})}
	s.redis.RequireAuth(s.password)
	if err := s.redis.StartAddr("127.0.0.1:0"); err != nil {
		return nil, fmt.Errorf("start the Redis inside: %w", err)
	}
	go s.moveClock()
	return s, nil
}

// moveClock lets keys expire: the time of this server stands still by itself.
func (s *server) moveClock() {
	defer close(s.done)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-s.quit:
			return
		case now := <-ticker.C: // fewer arrive on a busy machine: what counts is the time that went by
			s.redis.FastForward(now.Sub(last))
			last = now
		}
	}
}

func (s *server) stop() {
	close(s.quit)
	<-s.done
	s.redis.Close()
}
