//! An endpoint's hub, seen from outside: what app servers and devices get, and when.

mod acts;
mod again;
mod anew;
mod connections;
mod doubt;
mod downstream;
mod growth;
mod link;
mod obey;
mod receipts;
mod restart;
mod shares;
mod timers;
mod upstream;
mod waiting;
mod words;
mod world;
