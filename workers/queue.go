package workers

import (
	"context"
	"errors"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

const (
	taskTime = 30 * time.Second
	// maxDeaths is how many workers may die over a task before the queue lays it
	// aside. Handlers themselves never ask the queue to retry.
	maxDeaths = 25
)

// afterDeath is when a task whose worker died runs again.
func afterDeath(int, error, *asynq.Task) time.Duration { return time.Second }

// queue is where tasks wait for a worker.
type queue struct {
	client *asynq.Client
	tasks  *asynq.Inspector
}

func newQueue(r redis.UniversalClient) *queue {
	return &queue{client: asynq.NewClientFromRedisClient(r), tasks: asynq.NewInspectorFromRedisClient(r)}
}

// errLaidAside says that a task had cost so many workers their lives that the
// queue had laid it aside. It is taken away, so that it can be put there again.
var errLaidAside = errors.New("workers died over it, again and again")

// put puts a task on a queue under an id. One that is there already waits or is
// being done.
func (q *queue) put(ctx context.Context, name, taskID string, t *asynq.Task) error {
	enqueue := func() error {
		_, err := q.client.EnqueueContext(ctx, t,
			asynq.TaskID(taskID), asynq.Queue(name), asynq.MaxRetry(maxDeaths), asynq.Timeout(taskTime))
		return err
	}
	err := enqueue()
	if !errors.Is(err, asynq.ErrTaskIDConflict) {
		return err
	}
	there, err := q.tasks.GetTaskInfo(name, taskID)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound): // it ended just now
	case err != nil:
		return err
	case there.State != asynq.TaskStateArchived:
		return nil
	default:
		if err := q.tasks.DeleteTask(name, taskID); err != nil && !errors.Is(err, asynq.ErrTaskNotFound) {
			return err
		}
		return errLaidAside
	}
	if err := enqueue(); !errors.Is(err, asynq.ErrTaskIDConflict) {
		return err
	}
	return nil // another process was quicker
}
