// The pages of the rail: what they are called, where they are, the key that follows g, the scope that they
// need, and whether a phone shows them under “More”.

import { may } from "./session.js";

const PLACES = [
  { name: "Overview", path: "/", icon: "overview", key: "o" },
  { name: "Jobs", path: "/jobs", icon: "jobs", key: "j" },
  { name: "Runs", path: "/runs", icon: "runs", key: "r" },
  { name: "Schedules", path: "/schedules", icon: "schedules", key: "s" },
  { name: "Queues", path: "/queues", icon: "queues", key: "q" },
  { name: "Workers", path: "/workers", icon: "workers", key: "w", minor: true },
  { name: "Costs", path: "/costs", icon: "costs", key: "c", minor: true },
  { name: "Dead letters", path: "/dead", icon: "dead", key: "d", scope: "operate", minor: true },
  { name: "Audit log", path: "/audit", icon: "audit", key: "a", scope: "operate", minor: true },
  { name: "Tokens", path: "/tokens", icon: "access", key: "t", scope: "admin", minor: true },
];

/** The pages that the caller's token can show. */
export const places = () => PLACES.filter(({ scope }) => !scope || may(scope));
