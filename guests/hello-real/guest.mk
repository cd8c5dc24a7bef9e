$(eval $(call guest_real,hello-real))
