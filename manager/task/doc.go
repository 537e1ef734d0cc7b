// Package task says who may see and cancel the long work that ODCM does.
//
// Administrators and auditors see every task, administrators may cancel every task; anyone else sees and cancels what
// they submitted themselves. A task that someone may not see does not exist to them. What a task is and how it runs is
// kit/task's.
package task
