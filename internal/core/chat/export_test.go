package chat

import "time"

// FollowBatch is how many items a follower reads at once.
const FollowBatch = followBatch

// Never is longer than any test.
const Never = time.Hour

// SetPace makes followers look without a signal after poll, or after alone while
// other processes cannot be heard, and makes them give up after three failures.
func (s *Service) SetPace(poll, alone time.Duration) {
	s.pace = pace{poll: poll, alone: alone, retry: time.Millisecond, tries: 3}
}
