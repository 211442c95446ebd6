// Package chat is the chat app's view of Souk: conversations, the messages that
// are drawn in them, and each user's feed of what is new.
//
// # What it owns
//
// Conversations and their members as the chat app's server provisions them,
// messages (text, and at times a card), feeds, and how both are followed live. It
// does not own users, orders or merchants: a card is checked by a [CardChecker],
// and an entry of a feed only names the order that it tells of.
//
// # Words
//
//   - member: a user in a conversation. Only members see it and write into it.
//   - card: what a message shows besides its text: a merchant's signed product,
//     or the receipt of a purchase.
//   - feed: a user's numbered list of what is new, over all conversations and
//     orders. An entry names a message, or one change of an order.
//   - to follow: to be given what was missed since a number, then what comes.
//
// # Invariants
//
// Messages of a conversation are numbered 1, 2, 3… without gaps, and so are the
// entries of a feed: numbers are given under the lock of the conversation's or
// the feed's row, which is held until the commit, so that a reader who has seen a
// number has seen, or can still read, every smaller one. A message and its
// entries in the members' feeds are written in one transaction. Locks are taken
// in one order: users, conversation, feeds by user id; a caller that posts and
// announces in one transaction does so in that order.
//
// Followers are woken by signals, which may be lost, and read SQL, which is the
// truth. They read at their own pace: nobody waits for a slow one, and it loses
// nothing until what it has not read yet is pruned.
package chat
