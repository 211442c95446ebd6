// Package workers is the background edge: it carries what the database says must
// happen to the services that do it.
//
// The relay takes events from the outbox and puts them on the queue. The
// schedule looks for deadlines that have come and puts what they ask for on the
// queue, too. Handlers take tasks from the queue, decode them, call one service
// method, and say how it went. Any number of processes may run this; the queue
// (asynq on Redis) may be flushed at any time, for the database remembers all
// that is not done.
package workers
