//! Memory pipes as transports.
