// The pages of the rail: what they are called, where they are, and the key that follows g.

export const PLACES = [
  { name: "Overview", path: "/", icon: "overview", key: "o" },
  { name: "Jobs", path: "/jobs", icon: "jobs", key: "j" },
];
