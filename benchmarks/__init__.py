"""What quantlab's speed and calibration cost are on this machine; see README.md beside this file."""
